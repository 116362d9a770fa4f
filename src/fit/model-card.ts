// A model card (Mitchell et al., 2019, "Model cards for model reporting", arXiv:1810.03993) for what a fit has found: what it is for,
// what it was judged on, how well it did, and what nobody knows of it. Written from the certificate alone.
import { basename } from "node:path";

import { formatBytes } from "../support/units.js";
import { baseNameOf } from "./adapted-base.js";
import type { Certificate, ModelRecord, Quality } from "./certificate.js";
import { counted, keptText, percent } from "./wording.js";

/** @param command that asks for the same fit again */
export function renderModelCard(certificate: Certificate, command: string): string {
  const { baseline, winner, verdict, reason } = certificate;
  const title = inline(winner?.name ?? baseline.name ?? basename(baseline.path));
  const sections = [
    `# ${title}${winner ? `, ${inline(winner.candidate)}` : ""}`,
    `**${verdict}** – ${inline(reason)}.`,
    ...(winner ? [section("Model", modelFacts(certificate, winner))] : []),
    section("Intended use", intendedUse(certificate)),
    section("Data", dataFacts(certificate)),
    section("Evaluation", evaluationFacts(certificate)),
    section("Limits", limits(certificate)),
    `## Do it again\n\n\`\`\`sh\n${command}\npare verify certificate.json\n\`\`\``,
  ];
  return `${sections.join("\n\n")}\n`;
}

function section(title: string, lines: readonly string[]): string {
  return `## ${title}\n\n${lines.map((line) => `- ${line}`).join("\n")}`;
}

function modelFacts({ baseline, device }: Certificate, winner: ModelRecord & { candidate: string }): string[] {
  return [
    `File: \`model.gguf\`, ${formatBytes(winner.sizeBytes)}, ${winner.bitsPerWeight.toFixed(2)} bits per weight, SHA-256 \`${winner.sha256}\``,
    `Made from \`${inline(baseNameOf(baseline.path))}\`, ${formatBytes(baseline.sizeBytes)}, architecture ${inline(winner.architecture)}; the licence of that model holds for this one`,
    `Memory in use: ${formatBytes(winner.memoryBytes)} with ${device.contextLength} tokens of context`,
    ...(winner.decodeTokensPerSecond === null
      ? []
      : [`Decodes ${winner.decodeTokensPerSecond.toFixed(1)} tokens per second on the machine that measured it`]),
  ];
}

function intendedUse({ task, device, winner }: Certificate): string[] {
  const work = `work like that of \`${inline(basename(task.path))}\``;
  if (!winner) return [`None: nothing leaner was found good enough for ${work} on ${inline(device.name)}`];
  return [
    `${work.charAt(0).toUpperCase()}${work.slice(1)}, on ${inline(device.name)}`,
    "Not for other work: what was not measured may have been lost",
  ];
}

function dataFacts({ task, calibration, seed }: Certificate): string[] {
  const unit = task.kind === "text" ? "tokens" : "cases";
  return [
    `\`${inline(task.path)}\`, divided with seed ${seed} into ${counted(task.calibration, unit)} to calibrate on, ${task.selection} to choose with and ${task.confirmation} to confirm; the parts never mix`,
    `Calibration: ${inline(calibration.source)}, ${calibration.tokens} tokens`,
  ];
}

function evaluationFacts({ bar, statistic, winner, baseline }: Certificate): string[] {
  const quality = winner?.quality;
  return [
    `The bar: ${percent(bar.keep)} of the baseline's quality`,
    ...(quality ? [`Kept: ${keptText(quality.kept)}${evidenceOf(quality)}`] : []),
    ...(quality?.score ? [`Score: ${scoreText(quality)}; the baseline's: ${scoreText(baseline.quality)}`] : []),
    ...(quality?.slices ? [worstText(quality.slices[0]!)] : []),
    ...(statistic
      ? [
          `Method: ${statistic.method}`,
          `Chance of a wrong ACCEPT: at most ${percent(statistic.errorRate)} (${statistic.control})`,
        ]
      : []),
  ];
}

function evidenceOf({ cases, casesInPart, tokens }: Quality): string {
  if (cases !== undefined) return ` on ${cases} of the ${counted(casesInPart ?? cases, "confirmation cases")}`;
  return tokens === undefined ? "" : ` on ${counted(tokens, "confirmation tokens")}`;
}

function worstText({ tag, cases, kept }: NonNullable<Quality["slices"]>[number]): string {
  return `Worst slice: ${inline(tag)}, kept ${percent(kept.mean)} on ${counted(cases, "cases")}, at least ${percent(kept.low)} for certain`;
}

function scoreText(quality: Quality | undefined): string {
  const score = quality?.score;
  return score ? `${percent(score.mean)} (${percent(score.low)} to ${percent(score.high)})` : "unknown";
}

function limits({ notes, statistic, winner }: Certificate): string[] {
  const beyond = winner?.quality?.keptBeyond;
  return [
    ...(statistic?.target === "task"
      ? [
          `The verdict is about the task's own cases${beyond ? `; of all cases like them, at least ${percent(beyond.low)} is kept for certain` : ""}`,
        ]
      : []),
    "Bias, safety and languages other than the task's were not looked at",
    ...notes.map(inline),
  ];
}

/** Names come from files: nothing in them may open Markdown or HTML, or begin a line. */
function inline(text: string): string {
  return text.replace(/[\r\n]+/g, " ").replace(/[<>[\]`*_|\\]/g, String.raw`\$&`);
}
