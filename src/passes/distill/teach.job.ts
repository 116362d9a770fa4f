// The teacher's part: it reads the text, or writes it, and what it thinks of each token goes to disk. Then it is gone. What
// lies there already from the same teacher, text and settings is not made again.
import { join } from "node:path";

import type { Sequence } from "../../graph/token-batch.js";
import { loadEngine } from "../../native/engine.js";
import type { JobContext } from "../../native/isolate.js";
import { LlamaModel } from "../../native/llama-model.js";
import { sha256, sha256File } from "../../support/files.js";
import { type Document, tokenizeExamples } from "../../train/documents.js";
import { readExamples } from "../../train/examples.js";
import {
  VALIDATION_TOKENS_MAX,
  packSequences,
  packValidation,
  requireSequence,
  splitValidation,
} from "../../train/pack.js";
import { processorSeconds } from "./processor-seconds.js";
import { scoreText } from "./score-text.js";
import type { DistillRequest, DistillSettings } from "./settings.js";
import {
  type Opinions,
  type TaughtFile,
  type TaughtTextFacts,
  TaughtTextWriter,
  describeTaught,
  taughtTextFacts,
} from "./taught-text.js";
import { writeText } from "./write-text.js";

/** What the teacher is asked for. */
export interface TeachInput {
  request: DistillRequest;
  settings: DistillSettings;
  folder: string;
  /** Tokens of a sequence. */
  length: number;
  threads: number;
}

export interface TeachOutput {
  files: TaughtFile[];
  /** SHA-256 of the teacher's file; of an endpoint null. */
  teacher: string | null;
  /** What is to be said. */
  warnings?: string[] | undefined;
  seconds: number;
  processorSeconds: number;
}

type Use = TaughtFile["use"];
/** Sequences that are read, or numbers of those that are written. */
type Plan = { use: Use; name: string } & ({ read: readonly Sequence[] } | { write: { first: number; count: number } });

/** Sequences of one file: what is lost when the work is stopped. */
const SHARD_SEQUENCES = 256;

/** Runs in a child process. */
export async function run(input: TeachInput, context: JobContext): Promise<TeachOutput> {
  const started = performance.now();
  const { teacher } = input.request;
  const hash = await sha256File(teacher);
  using model = LlamaModel.load(loadEngine(), teacher, { repack: true });
  const plans = (await plansOf(model, input)).flatMap(shards);
  const total = plans.reduce((sum, plan) => sum + countOf(plan), 0);
  const files: TaughtFile[] = [];
  let done = 0;
  for (const plan of plans) {
    files.push(
      await carryOut(model, plan, hash, input, async () => {
        context.progress({ stage: "teaching", done: ++done, total, unit: "sequences" });
        await context.flush();
      }),
    );
  }
  return { files, teacher: hash, seconds: (performance.now() - started) / 1000, processorSeconds: processorSeconds() };
}

async function plansOf(model: LlamaModel, { request, length }: TeachInput): Promise<Plan[]> {
  const share = request.validation === undefined ? (request.validationShare ?? 0.05) : 0;
  const sequencesMax = Math.max(1, Math.floor(VALIDATION_TOKENS_MAX / length));
  const documentsOf = async (paths: readonly string[] = []): Promise<Document[]> =>
    paths.length === 0 ? [] : tokenizeExamples(model, await readExamples(paths));
  const plans: Plan[] = [];
  const read = (use: Use, name: string, documents: readonly Document[]): void => {
    const pack = use === "train" ? packSequences : packValidation;
    plans.push({ use, name, read: pack(documents, length) });
  };
  if (request.texts?.length) {
    const { train, validation } = splitValidation(await documentsOf(request.texts), share);
    requireSequence(train, length);
    read("train", "text", train);
    read("validation", "text-end", validation);
  }
  if (request.sample !== undefined) {
    const count = Math.max(1, Math.round(request.sample / length));
    const kept = Math.min(sequencesMax, Math.round(count * share));
    plans.push({ use: "train", name: "written", write: { first: kept, count: count - kept } });
    plans.push({ use: "validation", name: "written-first", write: { first: 0, count: kept } });
  }
  read("validation", "validation", await documentsOf(request.validation));
  read("guard", "guard", await documentsOf(request.guard));
  return plans.filter((plan) => countOf(plan) > 0 && !(plan.use === "train" && request.onPolicy));
}

function countOf(plan: Plan): number {
  return "read" in plan ? plan.read.length : plan.write.count;
}

function shards(plan: Plan): Plan[] {
  const parts = Math.ceil(countOf(plan) / SHARD_SEQUENCES);
  return Array.from({ length: parts }, (_, i) => {
    const start = i * SHARD_SEQUENCES;
    const name = `${plan.name}-${i + 1}`;
    if ("read" in plan) return { ...plan, name, read: plan.read.slice(start, start + SHARD_SEQUENCES) };
    const count = Math.min(SHARD_SEQUENCES, plan.write.count - start);
    return { ...plan, name, write: { first: plan.write.first + start, count } };
  });
}

/** Makes one file, unless it is there. */
async function carryOut(
  model: LlamaModel,
  plan: Plan,
  teacher: string,
  input: TeachInput,
  onSequence: () => Promise<void>,
): Promise<TaughtFile> {
  const path = join(input.folder, `${plan.name}.taught`);
  const facts = factsOf(model, plan, teacher, input);
  if ((await taughtTextFacts(path))?.identity !== facts.identity) {
    await using writer = await TaughtTextWriter.create(path, facts);
    await teach(model, plan, input, async (sequence, opinions) => {
      await writer.write(sequence, opinions);
      await onSequence();
    });
    await writer.commit();
  } else for (let i = 0; i < facts.sequences; i++) await onSequence();
  return describeTaught(path, plan.use);
}

function factsOf(
  model: LlamaModel,
  plan: Plan,
  teacher: string,
  { length, settings, request }: TeachInput,
): TaughtTextFacts {
  const { top, temperature, sampleTemperature, hidden } = settings;
  const width = hidden > 0 ? model.embeddingLength : undefined;
  const text = "read" in plan ? hashOf(plan.read) : { ...plan.write, sampleTemperature, seed: request.seed ?? 0 };
  const shape = { length, sequences: countOf(plan), top, vocabulary: model.vocabularySize, temperature, width };
  return { ...shape, identity: sha256(JSON.stringify([teacher, text, shape])) };
}

async function teach(
  model: LlamaModel,
  plan: Plan,
  { length, threads, settings, request }: TeachInput,
  onSequence: (sequence: Sequence, opinions: Opinions) => Promise<void>,
): Promise<void> {
  const opinions = { top: settings.top, temperature: settings.temperature, states: settings.hidden > 0 };
  if ("read" in plan) return scoreText(model, plan.read, { length, threads, ...opinions }, onSequence);
  const { sampleTemperature: temperature } = settings;
  await writeText(
    model,
    { ...plan.write, length, temperature, seed: request.seed ?? 0, threads, opinions },
    onSequence,
  );
}

function hashOf(sequences: readonly Sequence[]): string {
  const parts = sequences.flatMap(({ tokens, documents, targets, weights }) => [tokens, documents, targets, weights]);
  return sha256(
    Buffer.concat(parts.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength))),
  );
}
