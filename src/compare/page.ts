// A comparison as a page: one file that loads nothing and runs no script. Quality with its interval as bars, then a table of everything.
import { type Html, html, trusted } from "../report/html.js";
import { NONE, dollars, grouped, percent } from "../report/numbers.js";
import { STYLE } from "../report/style.js";
import { formatBytes } from "../support/units.js";
import type { ComparedContender, Comparison } from "./summarize.js";

const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
const OWN_STYLE = `
.scores th[scope="row"] { width: min(14rem, 32%); font-weight: 550; } .scores th small { display: block; font-weight: 400; color: var(--soft); } .scores td { vertical-align: middle; }
.scores svg { width: 100%; height: 1.1rem; display: block; } .scores rect { fill: var(--accent); opacity: .35; } .scores circle { fill: var(--accent); }
.scores line { stroke: var(--faint); } .all th[scope="row"] { color: var(--soft); } .all :is(td, thead th) { min-width: 8rem; overflow-wrap: anywhere; }
.all :is(th[scope="row"], thead td) { position: sticky; left: 0; background: var(--paper); min-width: 6.5rem; overflow-wrap: normal; }
@media (max-width: 40rem) { .all :is(td, thead th) { min-width: 9rem; } .scores tbody tr { display: grid; grid-template-columns: 1fr auto; border-bottom: 1px solid var(--faint); padding: .5rem 0; } .scores tbody :is(th, td) { border: 0; padding: 0; } .scores tbody th[scope="row"] { width: auto; padding-right: 1rem; }
  .scores tbody td:has(svg) { grid-area: 2 / 1 / 3 / 3; padding-top: .35rem; } }
`;

/** Renders a comparison; every text in it is escaped. */
export function comparisonPage(comparison: Comparison): string {
  const { task, cases, contenders, frontBy, notes } = comparison;
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${contenders.map(({ name }) => name).join(", ")} on ${task.name}</title>
        ${trusted(`<style>${STYLE}${OWN_STYLE}</style>`)}
      </head>
      <body>
        <div class="top"><strong>Pare</strong> <span>${task.name}, ${grouped(cases)} cases</span></div>
        <main>
          <h1>${headline(comparison)}</h1>
          <section>
            <h2>Quality</h2>
            <p>
              Mean score of the cases with its 95${"\u202f"}% interval, from 0 to 100${"\u202f"}%. On the front are
              those that no other beats in quality and ${frontBy} at once.
            </p>
            ${scores(contenders)}
          </section>
          <section>
            <h2>Everything</h2>
            ${everything(contenders)}
          </section>
          ${
            notes.length > 0 &&
            html`<section>
              <h2>Notes</h2>
              <ul class="notes">
                ${notes.map((note) => html`<li>${note}</li>`)}
              </ul>
            </section>`
          }
        </main>
        <footer>Made by Pare. The numbers are those of comparison.json beside this page.</footer>
      </body>
    </html>`;
  return `${page.text}\n`;
}

function headline({ contenders }: Comparison): string {
  const best = contenders.reduce((a, b) => (b.score.mean > a.score.mean ? b : a));
  const isClear = contenders.every((one) => one === best || one.score.high < best.score.low);
  return `${best.name} scores highest, ${percent(best.score.mean)}${isClear ? "" : "; the intervals overlap"}`;
}

function scores(contenders: readonly ComparedContender[]): Html {
  return html`<table class="scores">
    <thead class="unseen">
      <tr>
        <th>Contender</th>
        <th>Score and interval</th>
        <th>Score</th>
      </tr>
    </thead>
    <tbody>
      ${contenders.map(
        ({ name, score, isOnFront }) =>
          html`<tr>
            <th scope="row">${name}${isOnFront && html`<small>on the front</small>`}</th>
            <td>
              <svg viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="${range(score)}">
                <line x1="0" x2="100" y1="3" y2="3" />
                <rect
                  x="${100 * score.low}"
                  width="${Math.max(0.4, 100 * (score.high - score.low))}"
                  y="1.5"
                  height="3"
                />
                <rect x="${100 * score.mean - 0.25}" width="0.5" y="0" height="6" style="opacity: 1" />
              </svg>
            </td>
            <td class="number">${percent(score.mean)}<small>${range(score)}</small></td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function everything(contenders: readonly ComparedContender[]): Html {
  const rows = comparisonRows(contenders);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Everything, a column for each contender">
    <table class="all">
      <thead>
        <tr>
          <td></td>
          ${contenders.map(({ name }) => html`<th scope="col">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ([what, ...cells]) =>
            html`<tr>
              <th scope="row">${what}</th>
              ${cells.map((cell) => html`<td>${cell}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** What there is to say of each, a row for each fact; rows that nobody has anything in are left out. */
export function comparisonRows(contenders: readonly ComparedContender[]): string[][] {
  const yesNo = (value: boolean | null): string => (value === null ? NONE : value ? "yes" : "no");
  const facts: [string, (one: ComparedContender) => string][] = [
    ["score", ({ score }) => `${percent(score.mean)} (${range(score)})`],
    ["difference to the first", ({ difference }) => (difference ? signed(difference) : NONE)],
    ["worst tag", ({ worstTag }) => (worstTag ? `${worstTag.tag}, ${percent(worstTag.mean)}` : NONE)],
    ["both orders agree", ({ judge }) => (judge?.order ? percent(judge.order.agreement) : NONE)],
    ["cases scored", ({ cases }) => grouped(cases)],
    ["latency, median", ({ latencyMs }) => (latencyMs ? milliseconds(latencyMs.median) : NONE)],
    ["latency, 95th percentile", ({ latencyMs }) => (latencyMs ? milliseconds(latencyMs.p95) : NONE)],
    ["first text, median", ({ firstTextMs }) => (firstTextMs === null ? NONE : milliseconds(firstTextMs))],
    ["tokens in, out per request", (one) => `${one.promptTokens.toFixed(0)}, ${one.answerTokens.toFixed(0)}`],
    ["per 1\u202f000 requests", ({ costPer1000 }) => (costPer1000 === null ? NONE : dollars(costPer1000))],
    ["per month", ({ return: back }) => (back ? dollars(back.costPerMonth) : NONE)],
    ["saved per month", ({ return: back }) => (back ? dollars(back.savingPerMonth) : NONE)],
    ["months to pay back", ({ return: back }) => (back?.paybackMonths == null ? NONE : back.paybackMonths.toFixed(1))],
    ["on the front", ({ isOnFront }) => (isOnFront ? "yes" : "no")],
    ["size", ({ integration }) => (integration.sizeBytes === undefined ? NONE : formatBytes(integration.sizeBytes))],
    ["context", ({ integration }) => (integration.contextLength === null ? NONE : grouped(integration.contextLength))],
    ["tools", ({ integration }) => yesNo(integration.tools)],
    ["JSON mode", ({ integration }) => yesNo(integration.jsonMode)],
    ["licence", ({ integration }) => integration.license ?? NONE],
    ["spoken to as", ({ integration }) => integration.api],
    ["fine-tuning", ({ integration }) => integration.fineTuning ?? NONE],
  ];
  return facts
    .map(([what, say]) => [what, ...contenders.map(say)])
    .filter(([, ...cells]) => cells.some((cell) => cell !== NONE));
}

function range({ low, high }: { low: number; high: number }): string {
  return `${(100 * low).toFixed(1)} to ${percent(high)}`;
}

/** Points of a score, not a share of it. */
function signed({ mean, low, high }: { mean: number; low: number; high: number }): string {
  const points = (value: number): string => `${value >= 0 ? "+" : "−"}${(100 * Math.abs(value)).toFixed(1)}`;
  return `${points(mean)} points (${points(low)} to ${points(high)})`;
}

function milliseconds(value: number): string {
  return value < 1000 ? `${value.toFixed(0)}\u202fms` : `${(value / 1000).toFixed(1)}\u202fs`;
}
