// What a fit leaves behind: model.gguf, recipe.yaml and what that refers to on ACCEPT, certificate.json, report.html, model-card.md and, of a
// task, evidence.jsonl always, with what judges at endpoints said in judge.jsonl. Each file is whole or absent. An earlier fit's model does not stay beside a certificate that accepts
// nothing. The certificate knows the hash of every other file.
import type { KeyObject } from "node:crypto";
import { readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import { PareError } from "../errors.js";
import { outcomes } from "../passes/quantize/outcome.js";
import { quantize } from "../passes/quantize/quantize.js";
import { renderRecipe } from "../passes/recipe.js";
import { copyFileAtomic, sha256File, writeFileAtomic } from "../support/files.js";
import { optional } from "../support/optional.js";
import type { RunOptions } from "../support/progress.js";
import { renderCalibratedRecipe } from "./allocate/calibrated-recipe.js";
import type { PlannedCandidate } from "./candidates.js";
import type { Certificate } from "./certificate.js";
import { EVIDENCE_FILE, renderEvidence } from "./evidence-file.js";
import { type FileRecord, recordFile } from "./file-records.js";
import type { Regression } from "./pair-runner.js";
import { JUDGE_FILE } from "./judge-record.js";
import type { Laboratory } from "./laboratory.js";
import { CALIBRATION_FILE, EFFORT } from "./mixes.js";
import { renderModelCard } from "./model-card.js";
import type { FitRequest } from "./request.js";
import { commandLine } from "./command-line.js";
import { certificateText, sealed } from "./seal.js";
import type { SearchOutcome } from "./search.js";
import { isQuantizedSource } from "./candidates.js";
import type { Workspace } from "./workspace.js";
import { IMPORTANCE_NAME } from "./workspace.js";

/** What is done to a winner that is the original. */
const COPY = "copy";
/** Importance data beside the recipe that uses it. */
const IMPORTANCE_FILE = "importance.gguf";
/** What a fit writes to its folder. */
export const RESULT_FILES = [
  "model.gguf",
  "recipe.yaml",
  IMPORTANCE_FILE,
  CALIBRATION_FILE,
  EVIDENCE_FILE,
  JUDGE_FILE,
  "report.html",
  "model-card.md",
  "certificate.json",
] as const;

export interface Results {
  certificate: Certificate;
  request: FitRequest;
  outcome: SearchOutcome;
  laboratory: Laboratory;
  workspace: Workspace;
  /** To sign with. */
  key: KeyObject | undefined;
}

/** What the report needs besides the certificate. */
export interface ReportSource {
  certificate: Certificate;
  /** The command that asks for the same again. */
  command: string;
  /** The winner's recipe as YAML. */
  recipe?: string;
  hasChatTemplate: boolean;
  /** Of the winner, or of the candidate that came closest: the cases on which it lost most. */
  regressions?: { candidate: string; cases: Regression[] };
  /** Most tokens to compute at once on the device. */
  microBatchSize?: number;
}

/** Draws the report; it comes from outside, because drawing knows certificates and certificates know nothing of drawing. */
export type DrawReport = (source: ReportSource) => string;

/**
 * Writes everything to the output folder and completes the certificate with the hash of the model it wrote.
 *
 * The model is made aside first: from the first file that is replaced to the last it takes a moment, and killed within it, a
 * certificate never stands beside another fit's model.
 */
export async function writeResults(
  results: Results,
  drawReport: DrawReport,
  options: RunOptions,
): Promise<Certificate> {
  const { certificate, request, outcome, workspace } = results;
  const made = outcome.winner && (await makeModel(results, outcome.winner, options));
  const path = join(request.out, "model.gguf");
  if (made !== undefined && certificate.winner) {
    const { size } = await stat(made);
    certificate.winner.path = path;
    certificate.winner.sizeBytes = size;
    certificate.winner.sha256 = await sha256File(made, options.signal);
    certificate.hashes["winner"] = certificate.winner.sha256;
    const trial = certificate.trials.find(({ verdict }) => verdict === "winner");
    if (trial) trial.sizeBytes = size;
  }
  await removeEarlierResults(request.out);
  const recipe = outcome.winner && (await winnerRecipe(results, outcome.winner, options));
  const written = await writeTexts(results, recipe, drawReport);
  certificate.outputs = [
    ...(made === undefined ? [] : [{ ...(await recordFile("model", made, options.signal)), path: "model.gguf" }]),
    ...(await Promise.all(written.map((name) => recordOutput(request.out, name, options)))),
  ];
  const final = sealed(certificate, results.key);
  await writeFileAtomic(join(request.out, "certificate.json"), certificateText(final));
  if (made !== undefined) await rename(made, path);
  await workspace.clear();
  return final;
}

/** Everything but the model and the certificate. @returns the names of all files that stand beside those two */
async function writeTexts(
  { certificate, request, outcome, laboratory }: Results,
  recipe: string | undefined,
  drawReport: DrawReport,
): Promise<string[]> {
  const evidence = laboratory.trials.flatMap(({ candidate, part, measurement: { draws } }) =>
    draws ? [{ candidate: candidate.id, part, draws }] : [],
  );
  const command = commandLine(request);
  const hasChatTemplate = outcome.winner?.base.model.metadata.has("tokenizer.chat_template") ?? false;
  const report = drawReport({
    certificate,
    command,
    hasChatTemplate,
    ...optional("recipe", recipe),
    ...optional("regressions", regressionsOf(outcome, laboratory)),
    ...optional("microBatchSize", certificate.winner?.microBatchSize),
  });
  const files: [string, string | undefined][] = [
    ["recipe.yaml", recipe],
    [JUDGE_FILE, laboratory.heard],
    [EVIDENCE_FILE, evidence.length > 0 ? renderEvidence(evidence) : undefined],
    ["report.html", report],
    ["model-card.md", renderModelCard(certificate, command)],
  ];
  const present = files.filter((file): file is [string, string] => file[1] !== undefined);
  for (const [name, text] of present) await writeFileAtomic(join(request.out, name), text);
  return [...present.map(([name]) => name), ...madeFrom(outcome.winner, laboratory)];
}

/** What the recipe refers to, beside it. */
function madeFrom(winner: PlannedCandidate | undefined, { mixes }: Laboratory): string[] {
  if (winner?.quantize) return [IMPORTANCE_FILE];
  return winner?.mix && !mixes.textOf(winner.base).isGiven ? [CALIBRATION_FILE] : [];
}

function regressionsOf({ winner, closest }: SearchOutcome, laboratory: Laboratory): ReportSource["regressions"] {
  const shown = winner ?? closest;
  const trial = laboratory.trials.findLast(({ candidate }) => candidate === shown);
  const cases = trial?.measurement.regressions;
  return shown && cases && cases.length > 0 ? { candidate: shown.name, cases } : undefined;
}

async function recordOutput(out: string, name: string, { signal }: RunOptions): Promise<FileRecord> {
  return { ...(await recordFile(name.slice(0, name.indexOf(".")), join(out, name), signal)), path: name };
}

/**
 * The winner's file, in the workspace. Made anew from the original: what the trials measured must come out again, byte for
 * byte.
 */
async function makeModel(
  { laboratory, workspace }: Results,
  winner: PlannedCandidate,
  options: RunOptions,
): Promise<string> {
  const path = workspace.path("winner.gguf");
  if (!winner.quantize && !winner.mix) {
    await quantize({ input: winner.base.path, output: path, type: COPY }, options); // the parts of a split one become one file
    return path;
  }
  const measured = await laboratory.fileOf(winner);
  await laboratory.write(winner, path);
  const [written, wanted] = [await sha256File(path, options.signal), await sha256File(measured, options.signal)];
  if (written === wanted) return path;
  await rm(path, { force: true });
  throw new PareError(
    `The winner "${winner.name}" came out differently when it was written again, so nothing measured holds for it`,
    { hint: "Run: pare doctor; memory or disk of this machine may be failing" },
  );
}

/** The recipe refers to the importance data beside it, so that the folder is all it takes to make the model again. */
async function winnerRecipe(
  { laboratory, request }: Results,
  winner: PlannedCandidate,
  options: RunOptions,
): Promise<string> {
  if (winner.mix) return mixRecipe(laboratory, winner, request.out, options);
  const { preset, outputType, tokenEmbeddingType, overrides } = winner.quantize ?? {};
  const quantize = {
    type: preset ?? COPY,
    ...(outputType ? { outputType } : {}),
    ...(tokenEmbeddingType ? { tokenEmbeddingType } : {}),
    ...(overrides && overrides.length > 0
      ? { tensorTypes: overrides.map(({ pattern, type }) => ({ pattern, type })) }
      : {}),
    ...(isQuantizedSource(winner.base.model) && preset ? { allowRequantize: true } : {}),
  };
  const file = join(request.out, IMPORTANCE_FILE);
  if (winner.quantize) await copyFileAtomic(await laboratory.importance(winner.base), file, options.signal);
  const importance = winner.quantize && {
    file: IMPORTANCE_FILE,
    name: IMPORTANCE_NAME,
    sha256: await sha256File(file, options.signal),
  };
  return renderRecipe({
    source: { name: winner.base.model.spec.name, sha256: winner.base.sha256 },
    passes: [{ quantize: { ...quantize, ...(importance ? { importance } : {}) } }],
  });
}

/** With the types that were chosen, and the text as it was given or, where it is a part of the evidence, beside the recipe. */
async function mixRecipe(
  { mixes }: Laboratory,
  { base, assignments }: PlannedCandidate,
  out: string,
  options: RunOptions,
): Promise<string> {
  const { isGiven, texts, contextLength, parseSpecial } = mixes.textOf(base);
  const part = join(out, CALIBRATION_FILE);
  if (!isGiven) await copyFileAtomic(texts[0]!.path, part, options.signal);
  return renderCalibratedRecipe(join(out, "recipe.yaml"), {
    request: { parseSpecial, effort: EFFORT },
    result: { tensors: outcomes(base.model, assignments!), calibration: { contextLength } },
    source: { name: base.model.spec.name, sha256: base.sha256 },
    sources: { texts: isGiven ? texts : [{ ...texts[0]!, path: part }] },
  });
}

/** Removes the model that an earlier certificate in this folder speaks of, and all that belongs to it; the certificate last. */
async function removeEarlierResults(out: string): Promise<void> {
  try {
    const earlier = JSON.parse(await readFile(join(out, "certificate.json"), "utf8")) as Partial<Certificate>;
    if (!earlier.format?.startsWith("pare-certificate/") || !earlier.winner) return;
  } catch {
    return; // no earlier fit
  }
  const files = RESULT_FILES.filter((name) => name !== "certificate.json");
  for (const name of [...files, "certificate.json"]) await rm(join(out, name), { force: true });
}
