// The table of all trials: sortable and filtered in the browser, complete without a script.
import { baseNameOf } from "../fit/adapted-base.js";
import type { Certificate, TrialRecord } from "../fit/certificate.js";
import { formatBytes } from "../support/units.js";
import { STANDINGS, rowId, standingOf } from "./front-points.js";
import { type Content, type Html, html } from "./html.js";
import { NONE, counted, percent, percentDecimals, percentRange, rate, significant } from "./numbers.js";

interface Column {
  title: string;
  /** True for columns of numbers, set flush right. */
  isNumber: boolean;
  cell: (trial: TrialRecord) => Content;
  /** What the column sorts by; nothing sorts last. */
  key: (trial: TrialRecord) => number | string | undefined;
}

const STAGES: Record<TrialRecord["stage"], string> = {
  predicted: "predicted only",
  screened: "screened on little text",
  selected: "measured on the selection part",
  confirmed: "measured on the confirmation part",
};

export function trialsSection(certificate: Certificate): Html {
  const { trials } = certificate;
  const columns = columnsOf(certificate);
  const standings = [...new Set(trials.map(standingOf))];
  return html`<section id="trials">
    <h2>Trials</h2>
    <p>${summary(trials)}</p>
    <div class="filters" data-needs-script hidden>
      <label>Find <input type="search" id="trial-filter" autocomplete="off" /></label>
      <label
        >Standing
        <select id="trial-standing">
          <option value="">all</option>
          ${standings.map((standing) => html`<option value="${standing}">${STANDINGS[standing]}</option>`)}
        </select></label
      >
      <output id="trial-count" aria-live="polite"></output>
    </div>
    <div class="scroll" tabindex="0" role="region" aria-label="Table of trials">
      <table id="trial-table">
        <thead>
          <tr>
            ${columns.map((column) => html`<th scope="col" ${column.isNumber && html`class="number"`}>${column.title}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${trials.map((trial, index) => row(trial, index, columns))}
        </tbody>
      </table>
    </div>
  </section>`;
}

function summary(trials: readonly TrialRecord[]): string {
  const measured = trials.filter((trial) => trial.quality).length;
  const screened = trials.filter((trial) => trial.screenKlDivergence).length;
  return [
    `${counted(trials.length, "candidates")}, ${screened} screened on little text, ${measured} measured in full.`,
    measured > 0 && "Intervals are 95\u202f%. What was measured on the confirmation part played no role in choosing.",
  ]
    .filter(Boolean)
    .join(" ");
}

function row(trial: TrialRecord, index: number, columns: readonly Column[]): Html {
  return html`<tr id="${rowId(index)}" class="k-${standingOf(trial)}" data-standing="${standingOf(trial)}">
    ${columns.map((column, place) => {
      const key = column.key(trial);
      const data = html`data-key="${key ?? ""}"`;
      if (place === 0) return html`<th scope="row" ${data}>${column.cell(trial)}</th>`;
      return html`<td ${column.isNumber && html`class="number"`} ${data}>${column.cell(trial)}</td>`;
    })}
  </tr>`;
}

/** The columns that at least one trial fills. */
function columnsOf({ trials }: Certificate): Column[] {
  const severalModels = new Set(trials.map((trial) => trial.model)).size > 1;
  const has = (present: (trial: TrialRecord) => unknown) => trials.some((trial) => present(trial) !== undefined);
  return [
    { title: "Candidate", isNumber: false, cell: (trial) => trial.candidate, key: (trial) => trial.candidate },
    ...(severalModels
      ? [
          {
            title: "Model",
            isNumber: false,
            cell: (trial: TrialRecord) => html`<span title="${trial.model}">${baseNameOf(trial.model)}</span>`,
            key: (trial: TrialRecord) => trial.model,
          },
        ]
      : []),
    number(
      "File size",
      (trial) => trial.sizeBytes,
      (trial) => formatBytes(trial.sizeBytes),
    ),
    number(
      "Bits/weight",
      (trial) => trial.bitsPerWeight,
      (trial) => trial.bitsPerWeight.toFixed(2),
    ),
    number(
      "Memory",
      (trial) => trial.memoryBytes,
      (trial) =>
        html`${formatBytes(trial.memoryBytes)}${!trial.fits && trial.verdict !== "does-not-fit" && html`<small>does not fit</small>`}`,
    ),
    ...(has((trial) => trial.quality) ? [number("Quality kept", (trial) => trial.quality?.kept.mean, keptCell)] : []),
    ...(has(divergenceOf) ? [number("KL divergence", (trial) => divergenceOf(trial)?.mean, divergenceCell)] : []),
    ...(has((trial) => trial.quality?.sameTopRate)
      ? [
          number(
            "Same top token",
            (trial) => trial.quality?.sameTopRate,
            (trial) => percent(trial.quality!.sameTopRate!),
          ),
        ]
      : []),
    ...(has((trial) => trial.speed?.decodeTokensPerSecond ?? undefined)
      ? [number("Decode, tokens/s", (trial) => trial.speed?.decodeTokensPerSecond ?? undefined, speedCell)]
      : []),
    {
      title: "Standing",
      isNumber: false,
      cell: (trial) =>
        html`<span class="standing">${STANDINGS[standingOf(trial)]}</span
          ><small>${trial.reason}; ${STAGES[trial.stage]}</small>`,
      key: (trial) => Object.keys(STANDINGS).indexOf(standingOf(trial)),
    },
  ];
}

function number(
  title: string,
  key: (trial: TrialRecord) => number | undefined,
  cell: (trial: TrialRecord) => Content,
): Column {
  return { title, isNumber: true, key, cell: (trial) => (key(trial) === undefined ? NONE : cell(trial)) };
}

function keptCell({ quality }: TrialRecord): Html {
  const { kept } = quality!;
  return html`${percent(kept.mean, percentDecimals(kept))}<small>${percentRange(kept)}</small>`;
}

function divergenceOf(trial: TrialRecord): { mean: number; standardError: number } | undefined {
  return trial.quality?.klDivergence ?? trial.screenKlDivergence;
}

function divergenceCell(trial: TrialRecord): Html {
  const { mean, standardError } = divergenceOf(trial)!;
  const screened = !trial.quality?.klDivergence;
  return html`${significant(mean)}<small>± ${significant(standardError)}${screened && ", screened"}</small>`;
}

function speedCell({ speed }: TrialRecord): Html {
  return html`${rate(speed!.decodeTokensPerSecond!)}${speed!.source === "predicted" && html`<small>predicted</small>`}`;
}
