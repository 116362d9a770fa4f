// The section with the front: every pair of axes drawn in advance, a switch between them, and a legend.
import type { Certificate } from "../fit/certificate.js";
import { formatBytes } from "../support/units.js";
import { frontPlot, shape } from "./front-plot.js";
import {
  type PlotPoint,
  type Standing,
  type XAxis,
  type YAxis,
  STANDINGS,
  X_AXES,
  Y_AXES,
  plotPoints,
} from "./front-points.js";
import { type Html, html } from "./html.js";
import { NONE, counted, percent } from "./numbers.js";

/** The front as a plot, or what each candidate needs where nothing was measured. */
export function frontSection(certificate: Certificate): Html {
  const points = plotPoints(certificate);
  const measured = points.filter((point) => point.standing !== "baseline");
  if (measured.length === 0) return needsSection(certificate);
  const xs = (Object.keys(X_AXES) as XAxis[]).filter((x) => measured.some((point) => point[x] !== undefined));
  const ys = (Object.keys(Y_AXES) as YAxis[]).filter((y) => measured.some((point) => point[y] !== undefined));
  const x: XAxis =
    certificate.minimize === "latency" && xs.includes("latency")
      ? "latency"
      : certificate.minimize === "memory"
        ? "memory"
        : "size";
  const y = ys[0]!;
  const views = xs.flatMap((eachX) => ys.map((eachY) => ({ x: eachX, y: eachY })));
  return html`<section id="front">
    <h2>The front</h2>
    <p>${caption(certificate, measured)}</p>
    <div class="switches" data-needs-script hidden>
      ${choices(
        "x",
        "Across",
        xs.map((each) => [each, X_AXES[each].choice]),
        x,
      )}
      ${
        ys.length > 1 &&
        choices(
          "y",
          "Up",
          ys.map((each) => [each, Y_AXES[each].choice]),
          y,
        )
      }
    </div>
    <figure>
      ${views.map(
        (view) =>
          html`<div class="view" data-view="${view.x} ${view.y}" ${(view.x !== x || view.y !== y) && html`hidden`}>
            ${frontPlot(certificate, points, { ...view, format: "wide" })}
            ${frontPlot(certificate, points, { ...view, format: "narrow" })}
          </div>`,
      )}
      <div id="tip" role="status" hidden></div>
      <figcaption>${legend(points)}</figcaption>
    </figure>
  </section>`;
}

function caption(certificate: Certificate, drawn: readonly PlotPoint[]): string {
  const missing = certificate.trials.length - drawn.length;
  return [
    "Each point is one candidate with its 95\u202f% confidence interval. The line joins those that nothing else beats on both axes.",
    missing > 0 &&
      `${counted(missing, "candidates")} without a measurement ${missing === 1 ? "stands" : "stand"} in the table only.`,
  ]
    .filter(Boolean)
    .join(" ");
}

function choices(name: string, label: string, options: readonly (readonly [string, string])[], chosen: string): Html {
  return html`<fieldset>
    <legend>${label}</legend>
    ${options.map(
      ([value, text]) =>
        html`<label
          ><input type="radio" name="axis-${name}" value="${value}" ${value === chosen && html`checked`} /><span
            >${text}</span
          ></label
        >`,
    )}
  </fieldset>`;
}

function legend(points: readonly PlotPoint[]): Html {
  const order: Standing[] = ["winner", "baseline", "clears", "undecided", "fails", "screened", "does-not-fit"];
  const present = order.filter((standing) => points.some((point) => point.standing === standing));
  return html`<ul class="legend">
    ${present.map(
      (standing) =>
        html`<li>
          <svg viewBox="-11 -11 22 22" aria-hidden="true"><g class="k-${standing}">${shape(standing)}</g></svg
          >${STANDINGS[standing]}
        </li>`,
    )}
  </ul>`;
}

/** Bars of the memory that each candidate needs, against the limit: the smallest of them, as only those can ever fit. */
function needsSection(certificate: Certificate): Html {
  const shown = [...certificate.trials].sort((a, b) => a.memoryBytes - b.memoryBytes).slice(0, 12);
  const limit = certificate.device.memoryBytes;
  const most = Math.max(limit, ...shown.map((trial) => trial.memoryBytes)) || 1;
  return html`<section id="front">
    <h2>What each candidate needs</h2>
    <p>
      Memory for weights, KV cache and buffers at ${certificate.device.contextLength} tokens of context, the smallest
      ${shown.length} of ${certificate.trials.length} candidates. The line is the limit, ${formatBytes(limit)}. No
      quality was measured.
    </p>
    <table class="needs">
      <thead class="unseen">
        <tr>
          <th>Candidate</th>
          <th>Memory</th>
        </tr>
      </thead>
      <tbody>
        ${shown.map(
          (trial) =>
            html`<tr>
              <th scope="row">${trial.candidate}</th>
              <td>
                <div
                  class="need"
                  style="--share:${percentOf(trial.memoryBytes, most)};--limit:${percentOf(limit, most)}"
                ></div>
                <span>${formatBytes(trial.memoryBytes)}</span>
              </td>
            </tr>`,
        )}
      </tbody>
    </table>
    ${shown.length === 0 && html`<p>${NONE}</p>`}
  </section>`;
}

function percentOf(part: number, whole: number): string {
  return percent(part / whole, 2).replace("\u202f", "");
}
