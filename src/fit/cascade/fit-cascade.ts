// `pare fit --cascade`: runs a small and a large model on a task, finds from which confidence on the small one may answer, and says on
// other cases what is kept and what is saved.
import { mkdir } from "node:fs/promises";
import { join, relative } from "node:path";

import { PareError, UsageError } from "../../errors.js";
import { refuseJudge } from "../../evaluate/judge/judge-task.js";
import { evaluateTask, type CaseResult } from "../../evaluate/run-task.js";
import type { Task } from "../../evaluate/task.js";
import { readTask } from "../../evaluate/tasks/read-task.js";
import { inspect } from "../../model/inspect.js";
import { sha256File, writeFileAtomic } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { splitCases } from "../split.js";
import { ALPHA } from "../statistic.js";
import type { Cascade } from "./cascade-file.js";
import { type CascadeCase, type Confirmation, chooseThreshold, confirmThreshold } from "./threshold.js";

export interface FitCascadeRequest {
  /** The small model and the large one: GGUF files. */
  models: readonly string[];
  /** Task file. */
  task: string;
  /** Share of the large model's score to keep; 99 % by default. */
  keep?: number | undefined;
  /** Folder for `cascade.json`. */
  out?: string | undefined;
  scorer?: string | undefined;
  excludeFaulty?: boolean | undefined;
  seed?: number | undefined;
  threads?: number | undefined;
}

const KEEP = 0.99;
const OUT = "pare-out";
const VERDICTS = { clears: "ACCEPT", fails: "REJECT", undecided: "NEED_MORE" } as const;

/**
 * Fits a cascade to a task and writes it.
 *
 * @returns what was written, with paths relative to the folder
 * @throws {UsageError} when there are not two models
 * @throws {PareError} when a case can't be scored without a baseline, or there are too few
 */
export async function fitCascade(request: FitCascadeRequest, options: RunOptions = {}): Promise<Cascade> {
  const { models, keep = KEEP, out = OUT, seed = 0, threads, scorer, excludeFaulty } = request;
  const [small, large] = models;
  if (models.length !== 2 || small === undefined || large === undefined) {
    throw new UsageError(`A cascade has two models, the small one first, and ${models.length} are given`);
  }
  const task = await readTask(request.task, { scorer, excludeFaulty });
  refuseJudge(task, "a cascade");
  const run = (model: string): Promise<readonly CaseResult[]> =>
    runOn(model, task, { threads, excludeFaulty }, options);
  const results = { small: byId(await run(small)), large: byId(await run(large)) };
  const cases = task.cases.filter(({ id }) => results.small.has(id) && results.large.has(id));
  const parts = splitCases(cases, ({ prompt, messages }) => prompt ?? JSON.stringify(messages), seed);
  const pairsOf = (list: readonly { id: string }[]): CascadeCase[] => list.map(({ id }) => pairOf(id, results));
  const chosenOn = pairsOf([...parts.calibration, ...parts.selection]);
  const { threshold, smallShare } = chooseThreshold(chosenOn, keep);
  const confirmation = confirmThreshold(pairsOf(parts.confirmation), threshold, { keep, alpha: ALPHA });
  const compute = await computeSaved({ small, large }, results, parts.confirmation, threshold);
  const cascade: Cascade = {
    version: 1,
    name: task.name,
    small: relative(out, small),
    large: relative(out, large),
    threshold,
    of: cases.some(({ choices }) => choices !== undefined) ? "choices" : "answers",
    evidence: {
      verdict: VERDICTS[confirmation.standing],
      keep,
      task: { name: task.name, sha256: task.sha256 },
      sha256: { small: await sha256File(small), large: await sha256File(large) },
      seed,
      chosenOn: { cases: chosenOn.length, smallShare },
      confirmedOn: confirmedOn(confirmation),
      saved: { requests: confirmation.smallShare, compute },
    },
  };
  await mkdir(out, { recursive: true });
  await writeFileAtomic(join(out, "cascade.json"), `${JSON.stringify(cascade, undefined, 2)}\n`);
  return cascade;
}

async function runOn(
  model: string,
  task: Task,
  settings: { threads: number | undefined; excludeFaulty: boolean | undefined },
  options: RunOptions,
): Promise<readonly CaseResult[]> {
  return (await evaluateTask({ model, task, ...settings, tellConfidence: true }, options)).perCase;
}

type Results = Record<"small" | "large", ReadonlyMap<string, CaseResult>>;

function byId(results: readonly CaseResult[]): Map<string, CaseResult> {
  return new Map(results.map((one) => [one.id, one]));
}

function pairOf(id: string, { small, large }: Results): CascadeCase {
  const [first, second] = [small.get(id)!, large.get(id)!];
  const unscored = [first, second].find(({ score }) => score === null);
  if (unscored) throw new PareError(`Case "${id}" can't be scored: ${unscored.explanation ?? "no reason given"}`);
  return { id, confidence: first.confidence!, small: first.score!, large: second.score! };
}

/** Parameters × tokens: what both models computed, against what the large one alone would have. */
async function computeSaved(
  models: Record<"small" | "large", string>,
  results: Results,
  cases: readonly { id: string }[],
  threshold: number,
): Promise<number> {
  const parameters = {
    small: (await inspect(models.small)).parametersActive,
    large: (await inspect(models.large)).parametersActive,
  };
  const costOf = (which: "small" | "large", id: string): number => {
    const { promptTokens, answerTokens } = results[which].get(id)!;
    return parameters[which] * (promptTokens + answerTokens);
  };
  let cascade = 0;
  let alone = 0;
  for (const { id } of cases) {
    const isAsked = results.small.get(id)!.confidence! < threshold;
    cascade += costOf("small", id) + (isAsked ? costOf("large", id) : 0);
    alone += costOf("large", id);
  }
  return 1 - cascade / alone;
}

function confirmedOn({
  cases,
  smallShare,
  kept,
  score,
}: Confirmation): NonNullable<Cascade["evidence"]>["confirmedOn"] {
  return { cases, smallShare, kept, score };
}
