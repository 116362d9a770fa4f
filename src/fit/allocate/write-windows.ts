// Text to recover on, where a calibration text has too little of it: the original writes it itself (Liu et al., 2023,
// arXiv:2305.17888, section 3.1). A model that learns from few windows many times learns these by heart; of its own text there is as
// much as is wanted, and each window begins as one of the calibration text does, so that it is of the same kind.
import type { Engine } from "../../native/engine.js";
import { LlamaModel } from "../../native/llama-model.js";
import { writeText } from "../../passes/distill/write-text.js";
import { Random } from "../../support/random.js";
import type { OnProgress } from "../../support/progress.js";

export interface WrittenWindowsRequest {
  engine: Engine;
  /** Of the original. */
  path: string;
  /** Of the calibration text, of one length. */
  windows: readonly Int32Array[];
  /** Tokens of a window's start that are taken from the text. */
  given: number;
  /** How many windows are wanted in all. */
  count: number;
  threads: number;
  onProgress: OnProgress;
  breathe: () => Promise<void>;
}

/** @returns the windows of the text, and as many written ones as are missing, mixed */
export async function withWrittenWindows(request: WrittenWindowsRequest): Promise<Int32Array[]> {
  const { windows, given, count, threads, onProgress, breathe } = request;
  const missing = count - windows.length;
  if (missing <= 0) return [...windows];
  using model = LlamaModel.load(request.engine, request.path);
  const prompts = windows.map((window) => [...window.subarray(0, given)]);
  const written: Int32Array[] = [];
  await writeText(
    model,
    { length: windows[0]!.length, first: 0, count: missing, prompts, temperature: 1, seed: 0, threads, opinions: NONE },
    async ({ tokens }) => {
      written.push(tokens.slice());
      onProgress({ stage: "writing", done: written.length, total: missing, unit: "windows" });
      await breathe();
    },
  );
  return new Random(0).fork("windows").shuffled([...windows, ...written]);
}

/** What the writer thought is of no use: the original is asked again for all the vocabulary. */
const NONE = { top: 1, temperature: 1 };
