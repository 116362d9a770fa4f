// How the evidence was gathered and how to gather it again: parts, counts, seed, versions, hashes, notes, the command.
import type { Certificate } from "../fit/certificate.js";
import { formatBytes, formatDuration } from "../support/units.js";
import { type Content, type Html, html } from "./html.js";
import { counted, grouped, percent } from "./numbers.js";
import { commandBlock } from "./run-it.js";

export function evidenceSection(certificate: Certificate, command: string, recipe: string | undefined): Html {
  const { task, calibration, budget, speedPrediction, notes } = certificate;
  const unit = task.kind === "text" ? "tokens" : "cases";
  const rows: [string, Content][] = [
    [
      "Task",
      html`<code class="path">${task.path}</code>,
        ${task.kind === "text" ? "text" : `cases scored by ${task.scorer ?? "their scorers"}`}`,
    ],
    [
      "Its parts, which never mix",
      `${counted(task.calibration, unit)} to calibrate, ${grouped(task.selection)} to select, ${grouped(task.confirmation)} to confirm`,
    ],
    ["Quality", qualityMeaning(certificate)],
    ["Calibration", html`<code class="path">${calibration.source}</code>, ${counted(calibration.tokens, "tokens")}`],
    [
      "Budget used",
      `${formatDuration(budget.secondsUsed * 1000)} of ${formatDuration(budget.seconds * 1000)}, ${budget.evaluationsUsed} of ${counted(budget.evaluations, "evaluations")}`,
    ],
    ...(speedPrediction
      ? [
          [
            "Speed prediction",
            `median error ${percent(speedPrediction.medianErrorShare, 0)} over ${counted(speedPrediction.measurements, "measurements")}; fitted bandwidth ${formatBytes(speedPrediction.bandwidthBytesPerSecond)}/s`,
          ] as [string, Content],
        ]
      : []),
    ["Seed", String(certificate.seed)],
    [
      "Run",
      html`<time datetime="${certificate.startedAt}">${moment(certificate.startedAt)}</time> to
        <time datetime="${certificate.finishedAt}">${moment(certificate.finishedAt)}</time>`,
    ],
    [
      "Versions",
      Object.entries(certificate.versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(", "),
    ],
    ...Object.entries(certificate.hashes).map(
      ([name, hash]) => [`SHA-256, ${name}`, html`<code class="hash">${hash}</code>`] as [string, Content],
    ),
  ];
  return html`<section id="evidence">
    <h2>Evidence</h2>
    ${
      notes.length > 0 &&
      html`<h3>Before you trust the numbers</h3>
        <ul class="notes">
          ${notes.map((note) => html`<li>${note}.</li>`)}
        </ul>`
    }
    <table class="facts">
      <tbody>
        ${rows.map(
          ([what, value]) =>
            html`<tr>
              <th scope="row">${what}</th>
              <td>${value}</td>
            </tr>`,
        )}
      </tbody>
    </table>
    <h3>Do it again</h3>
    <p>
      The same files, seed and versions give the same candidates and the same quality; speeds vary with the machine.
    </p>
    ${commandBlock(command, "reproduce")}
    ${
      recipe !== undefined &&
      html`<details>
        <summary>The winner’s recipe</summary>
        <pre tabindex="0"><code>${recipe}</code></pre>
      </details>`
    }
  </section>`;
}

function qualityMeaning({ bar, task, statistic }: Certificate): string {
  const confidence = percent(bar.confidence, 0);
  if (statistic?.target !== undefined && bar.metric === "score") {
    const target =
      statistic.target === "task"
        ? `the ${statistic.casesInTarget} cases of the confirmation part`
        : "all cases like these";
    return `candidate’s mean score ÷ baseline’s on ${target}; accepted when the lower end of its ${confidence} confidence sequence, which holds whenever one stops, reaches the bar; chance of a wrong ACCEPT at most ${percent(statistic.errorRate, 0)} (${statistic.control})`;
  }
  return bar.metric === "perplexityRatio"
    ? `baseline perplexity ÷ candidate perplexity on the same ${task.kind === "text" ? "windows of text" : "cases"}; accepted when the lower ${confidence} bound of the paired comparison reaches the bar`
    : `candidate’s mean score ÷ baseline’s on the same cases; accepted when the lower ${confidence} bound of the paired comparison reaches the bar`;
}

/** `2026-03-14 09:26 UTC` */
function moment(iso: string): string {
  return `${iso.slice(0, 16).replace("T", " ")} UTC`;
}
