// On-policy: the student writes what it will learn on next, and its teacher, loaded after it is gone, says what it would have
// written there (Agarwal et al., 2023, arXiv:2306.13649). The student meets its own mistakes this way.
import type { Sequence } from "../../graph/token-batch.js";
import { loadEngine } from "../../native/engine.js";
import type { JobContext } from "../../native/isolate.js";
import { LlamaModel } from "../../native/llama-model.js";
import { processorSeconds } from "./processor-seconds.js";
import { scoreText } from "./score-text.js";
import { type TaughtFile, TaughtTextWriter, describeTaught } from "./taught-text.js";
import { writeText } from "./write-text.js";

export interface WriteJobInput {
  student: string;
  teacher: string;
  output: string;
  identity: string;
  /** Number of the first sequence. */
  first: number;
  count: number;
  length: number;
  seed: number;
  /** Of the student's writing. */
  sampleTemperature: number;
  /** Of what is compared. */
  temperature: number;
  top: number;
  /** Keep the teacher's hidden states, too. */
  states: boolean;
  threads: number;
}

export interface WriteJobOutput {
  file: TaughtFile;
  seconds: number;
  processorSeconds: number;
}

/** Runs in a child process. */
export async function run(input: WriteJobInput, context: JobContext): Promise<WriteJobOutput> {
  const started = performance.now();
  const { output, identity, length, count, top, temperature } = input;
  const sequences = await written(input);
  using teacher = LlamaModel.load(loadEngine(), input.teacher, { repack: true });
  const facts = {
    identity,
    length,
    sequences: count,
    top,
    vocabulary: teacher.vocabularySize,
    temperature,
    width: input.states ? teacher.embeddingLength : undefined,
  };
  await using writer = await TaughtTextWriter.create(output, facts);
  let done = 0;
  await scoreText(teacher, sequences, input, async (sequence, opinions) => {
    await writer.write(sequence, opinions);
    context.progress({ stage: "scoring the student", done: ++done, total: count, unit: "sequences" });
    await context.flush();
  });
  await writer.commit();
  const file = await describeTaught(output, "train");
  return { file, seconds: (performance.now() - started) / 1000, processorSeconds: processorSeconds() };
}

/** What the student writes; it is out of memory again afterwards. */
async function written(input: WriteJobInput): Promise<Sequence[]> {
  using student = LlamaModel.load(loadEngine(), input.student, { repack: true });
  const sequences: Sequence[] = [];
  const options = {
    ...input,
    temperature: input.sampleTemperature,
    opinions: { top: 1, temperature: input.sampleTemperature },
  };
  await writeText(student, options, async ({ tokens, documents, targets, weights }) => {
    sequences.push({ tokens, documents, targets, weights });
  });
  return sequences;
}
