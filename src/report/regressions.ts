// The cases on which the winner lost most, with both answers side by side: what the numbers mean in words.
import type { Regression } from "../fit/pair-runner.js";
import { type Html, html } from "./html.js";
import { counted, percent } from "./numbers.js";

export interface Regressions {
  candidate: string;
  cases: readonly Regression[];
}

/** Nothing where none was lost, or where text was measured. */
export function regressionsSection(regressions: Regressions | undefined): Html | undefined {
  if (!regressions || regressions.cases.length === 0) return undefined;
  const { candidate, cases } = regressions;
  return html`<section id="regressions">
    <h2>Worst regressions</h2>
    <p>
      ${counted(cases.length, "cases")} on which ${candidate} did worse than the baseline, the worst first. Long texts
      are cut.
    </p>
    ${cases.map(regression)}
  </section>`;
}

function regression({ id, tags, asked, expected, baseline, candidate }: Regression): Html {
  return html`<article class="regression">
    <h3>${id}${tags.length > 0 && html` <small>${tags.join(", ")}</small>`}</h3>
    <pre class="asked" tabindex="0"><code>${asked}</code></pre>
    ${expected !== undefined && html`<p class="expected">Wanted: <code>${expected}</code></p>`}
    <div class="answers">${answer("Baseline", baseline)} ${answer("Candidate", candidate)}</div>
  </article>`;
}

function answer(who: string, { score, shown }: Regression["baseline"]): Html {
  return html`<div>
    <h4>${who}, score ${percent(score, 0)}</h4>
    <pre tabindex="0"><code>${shown === "" ? "(nothing)" : shown}</code></pre>
  </div>`;
}
