// Quality by slice: what the winner, or the candidate that came closest, keeps of each tag's cases, the worst first.
import type { Certificate, Quality } from "../fit/certificate.js";
import { type Html, html } from "./html.js";
import { grouped, percent } from "./numbers.js";

/** The table of slices; nothing where the cases have fewer than two tags. */
export function slicesSection(certificate: Certificate): Html | undefined {
  const shown = shownQuality(certificate);
  if (!shown?.quality.slices) return undefined;
  const { label, quality } = shown;
  const [worst] = quality.slices!;
  return html`<section id="slices">
    <h2>Quality by slice</h2>
    <p>
      ${label} does worst on <strong>${worst!.tag}</strong>: it keeps ${percent(worst!.kept.mean)} there. What is
      certain of every slice holds for all of them at once, with ${percent(certificate.bar.confidence, 0)} confidence
      (Bonferroni), so slices of few cases say little.
    </p>
    <div class="scroll" tabindex="0" role="region" aria-label="Table of slices">
      <table>
        <thead>
          <tr>
            <th scope="col">Tag</th>
            <th scope="col" class="number">Cases run</th>
            <th scope="col" class="number">Quality kept</th>
            <th scope="col" class="number">For certain</th>
          </tr>
        </thead>
        <tbody>
          ${quality.slices!.map(
            ({ tag, cases, kept }) =>
              html`<tr>
                <th scope="row">${tag}</th>
                <td class="number">${grouped(cases)}</td>
                <td class="number">${percent(kept.mean)}</td>
                <td class="number">at least ${percent(kept.low)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

function shownQuality({ winner, trials }: Certificate): { label: string; quality: Quality } | undefined {
  if (winner?.quality) return { label: winner.candidate, quality: winner.quality };
  const measured = trials.filter((trial) => trial.quality?.slices);
  const best = measured.sort((a, b) => b.quality!.kept.mean - a.quality!.kept.mean)[0];
  return best && { label: best.candidate, quality: best.quality! };
}
