// Baseline and winner line by line, with every number that the certificate has of them.
import type { Certificate, Estimate, ModelRecord } from "../fit/certificate.js";
import { formatBytes } from "../support/units.js";
import { type Content, type Html, html } from "./html.js";
import { NONE, percent, percentDecimals, percentRange, rate, significant } from "./numbers.js";

/** The table of baseline and winner; nothing when there is no winner. */
export function comparisonSection(certificate: Certificate): Html | undefined {
  const { baseline, winner } = certificate;
  if (!winner) return undefined;
  const rows: [string, (model: ModelRecord) => Content][] = [
    ["File", (model) => html`<code class="path">${model.path}</code>`],
    ["File size", (model) => formatBytes(model.sizeBytes)],
    ["Bits per weight", (model) => model.bitsPerWeight.toFixed(2)],
    ["Memory in use", (model) => formatBytes(model.memoryBytes)],
    ["Decode, tokens/s", (model) => (model.decodeTokensPerSecond ? rate(model.decodeTokensPerSecond) : NONE)],
    ["Prefill, tokens/s", (model) => (model.prefillTokensPerSecond ? rate(model.prefillTokensPerSecond) : NONE)],
    ["Quality kept", (model) => (model === baseline ? percent(1, 0) : kept(model.quality?.kept))],
    ["Perplexity", (model) => interval(model.quality?.perplexity)],
    ["Score", (model) => interval(model.quality?.score)],
    ["KL divergence", (model) => divergence(model.quality?.klDivergence)],
    ["KL divergence, median", (model) => optional(model.quality?.klDivergence?.median)],
    ["KL divergence, 99th percentile", (model) => optional(model.quality?.klDivergence?.p99)],
    [
      "Same top token",
      (model) => (model.quality?.sameTopRate === undefined ? NONE : percent(model.quality.sameTopRate)),
    ],
  ];
  const known = rows.filter(([, cell]) => cell(baseline) !== NONE || cell(winner) !== NONE);
  return html`<section id="comparison">
    <h2>Before and after</h2>
    <div class="scroll" tabindex="0" role="region" aria-label="Baseline and winner">
      <table class="comparison">
        <thead>
          <tr>
            <td></td>
            <th scope="col">Baseline</th>
            <th scope="col">Winner: ${winner.candidate}</th>
          </tr>
        </thead>
        <tbody>
          ${known.map(
            ([what, cell]) =>
              html`<tr>
                <th scope="row">${what}</th>
                <td>${cell(baseline)}</td>
                <td>${cell(winner)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

function kept(estimate: Estimate | undefined): Content {
  if (!estimate) return NONE;
  return html`${percent(estimate.mean, percentDecimals(estimate))}<small>${percentRange(estimate)}</small>`;
}

function interval(estimate: Estimate | undefined): Content {
  if (!estimate) return NONE;
  return html`${significant(estimate.mean)}<small
      >${significant(estimate.low)} to ${significant(estimate.high)}</small
    >`;
}

function divergence(value: { mean: number; standardError: number } | undefined): Content {
  return value ? html`${significant(value.mean)}<small>± ${significant(value.standardError)}</small>` : NONE;
}

function optional(value: number | undefined): string {
  return value === undefined ? NONE : significant(value);
}
