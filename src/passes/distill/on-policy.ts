// Rounds of a run in which the student writes its own text: it writes, the teacher scores, the student learns for some steps
// and leaves its weights for the next round. A round's text is kept until the next one's is there, so that a killed run goes on
// to the same bits.
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";

import { sha256, sha256File, writeFileAtomic } from "../../support/files.js";
import type { DistillJobInput, DistillJobOutput } from "./distill.job.js";
import type { Cost } from "./processor-seconds.js";
import type { TaughtFile } from "./taught-text.js";
import type { TeachInput } from "./teach.job.js";
import type { WriteJobInput, WriteJobOutput } from "./write.job.js";

/** The student between rounds. */
export const STUDENT_NOW = "student-now.gguf";

/** The children that do the work. */
export interface Children {
  write(input: WriteJobInput): Promise<WriteJobOutput>;
  learn(input: DistillJobInput): Promise<DistillJobOutput>;
}

/** The round that a run is in, as its folder tells. */
interface Round {
  identity: string;
  number: number;
  file: TaughtFile;
}

/** What all rounds together came to. */
export interface OnPolicyOutcome {
  learned: DistillJobOutput;
  /** The last round's text, and what is validated on. */
  files: TaughtFile[];
  /** Of writing and scoring. */
  cost: Cost;
}

/**
 * Learns in rounds.
 *
 * @param batch sequences of a step
 * @param job with the text that is validated on
 */
export async function learnOnPolicy(
  input: TeachInput,
  batch: number,
  job: DistillJobInput,
  children: Children,
): Promise<OnPolicyOutcome> {
  const { request, settings, folder, length } = input;
  const steps = request.onPolicy!;
  const models = await sha256File([request.teacher, job.model]);
  const identity = sha256(JSON.stringify([settings, request.seed, steps, batch, length, models]));
  const cost: Cost = { seconds: 0, processorSeconds: 0 };
  const sum: Cost & { targets: number } = { seconds: 0, processorSeconds: 0, targets: 0 };
  let resumedFrom: number | undefined;
  let round = await readRound(folder, identity);
  for (let number = round?.number ?? 0; ; number++) {
    if (round?.number !== number) {
      const student = number === 0 ? job.model : join(folder, STUDENT_NOW);
      const written = await children.write(writingOf(input, { number, count: steps * batch, student, identity }));
      add(cost, written);
      await writeFileAtomic(recordOf(folder), JSON.stringify({ identity, number, file: written.file }));
      if (round) await rm(round.file.path, { force: true });
      round = { identity, number, file: written.file };
    }
    const files = [round.file, ...job.files];
    const learned = await children.learn({ ...job, files, until: (number + 1) * steps });
    add(sum, learned);
    sum.targets += learned.targets;
    resumedFrom ??= learned.resumedFrom;
    if (learned.isDone) return { learned: { ...learned, ...sum, resumedFrom }, files, cost };
  }
}

function writingOf(
  { request, settings, folder, length, threads }: TeachInput,
  round: { number: number; count: number; student: string; identity: string },
): WriteJobInput {
  const { sampleTemperature, temperature, top, hidden } = settings;
  const { number, count, student, identity } = round;
  const text = { student, teacher: request.teacher, output: join(folder, `round-${number}.taught`), identity };
  const how = { length, threads, seed: request.seed ?? 0, sampleTemperature, temperature, top, states: hidden > 0 };
  return { ...text, ...how, first: number * count, count };
}

function add(sum: Cost, { seconds, processorSeconds }: Cost): void {
  sum.seconds += seconds;
  sum.processorSeconds += processorSeconds;
}

async function readRound(folder: string, identity: string): Promise<Round | undefined> {
  const round = await readFile(recordOf(folder), "utf8").then(
    (text) => JSON.parse(text) as Round,
    () => undefined,
  );
  return round?.identity === identity ? round : undefined;
}

function recordOf(folder: string): string {
  return join(folder, "round.json");
}
