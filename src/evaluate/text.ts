// Perplexity on text, and KL divergence against a baseline. The models run in child processes; only statistics come back.
//
// perplexity = exp(-1/N Σ ln q(token)); KL(p ‖ q) = Σ p ln(p / q) over the vocabulary, p the baseline's, q the candidate's.
// Windows and scored tokens are llama-perplexity's, so that its numbers can be compared with these.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { UsageError } from "../errors.js";
import { diagnosing } from "../model/diagnose.js";
import { isolate } from "../native/isolate.js";
import type { Backend } from "../native/platform.js";
import { refuseReplacing } from "../support/files.js";
import type { RunOptions } from "../support/progress.js";
import { isBaselineFile } from "./baseline.js";
import type { TextResult } from "./text-in-process.js";
import type { TextJobInput, TextShape } from "./text.job.js";
import type { WindowSelection } from "./text-windows.js";

export type { TextResult } from "./text-in-process.js";
export type { WindowSelection } from "./text-windows.js";

/** What text, cut how. */
export interface TextSource {
  /** Contents of the texts, one after another; or `tokens`. */
  texts?: readonly string[] | undefined;
  tokens?: Int32Array | undefined;
  /** Tokens per window; 512 by default, less where the model was trained on less. */
  contextLength?: number | undefined;
  /** Read `<|im_start|>` and the like in the texts as control tokens, as chat-formatted text wants. */
  parseSpecial?: boolean | undefined;
}

export interface EvaluateTextRequest extends TextSource {
  /** GGUF file of the model to measure. */
  model: string;
  /** LoRA adapter of the model, a GGUF file; a baseline has none. */
  adapter?: string | undefined;
  /** Windows to measure; all of them by default. */
  windows?: WindowSelection | undefined;
  /** The baseline: a GGUF file, which is measured first, or a baseline file. */
  against?: string | undefined;
  /** Where a baseline is kept: with `against` that model's, used again when it matches; without, this model's. */
  baselineFile?: string | undefined;
  /** Rearrange weights for speed. Off by default: it changes q8_0's divergence by some 2 %. */
  repack?: boolean | undefined;
  /** The physical cores by default. */
  threads?: number | undefined;
  backend?: Backend | undefined;
}

/**
 * Measures a model on text, in child processes.
 *
 * @returns perplexity with its standard error; with `against` also KL divergence, agreement and the change in probability
 * @throws {PareError} when the text is shorter than one window (with both numbers), or the baseline does not fit
 * @throws {FormatError} when a file is damaged
 * @throws {EngineError} when llama.cpp refuses a model or stops, or the logits are not numbers
 * @example
 * const { klDivergence } = await evaluateText({ model: "q4.gguf", against: "f16.gguf", texts: [text] });
 * console.log(klDivergence.mean, "±", klDivergence.standardError);
 */
export async function evaluateText(request: EvaluateTextRequest, options: RunOptions = {}): Promise<TextResult> {
  const isModel = request.against !== undefined && !(await isBaselineFile(request.against));
  return diagnosing([request.model, isModel ? request.against : undefined], () => measure(request, options));
}

async function measure(request: EvaluateTextRequest, options: RunOptions): Promise<TextResult> {
  const { against, baselineFile, backend, ...job } = request;
  if (baselineFile !== undefined && against === undefined && request.adapter !== undefined)
    throw new UsageError("A baseline is a model's own, and can't be kept of one with an adapter", {
      hint: "Merge the adapter: pare adapt --adapter FILE --merge OUT",
    });
  if (baselineFile !== undefined) {
    await refuseReplacing(baselineFile, [request.model, ...(against === undefined ? [] : [against])]);
  }
  const what = `measuring "${request.model}"`;
  if (against === undefined) {
    return isolate<TextJobInput, TextResult>(
      "evaluate/text.job",
      { kind: "evaluate", ...job, baselineFile },
      { ...options, what, backend },
    );
  }
  if (await isBaselineFile(against)) {
    if (baselineFile !== undefined) {
      throw new UsageError(`"${against}" is a baseline already: nothing is to be kept in "${baselineFile}"`);
    }
    return isolate<TextJobInput, TextResult>(
      "evaluate/text.job",
      { kind: "evaluate", ...job, against },
      { ...options, what, backend },
    );
  }
  const folder = baselineFile === undefined ? await mkdtemp(join(tmpdir(), "pare-baseline-")) : undefined;
  try {
    const file = baselineFile ?? join(folder!, "baseline");
    await isolate<TextJobInput, void>(
      "evaluate/text.job",
      { kind: "baseline", ...job, adapter: undefined, model: against, candidate: request.model, baselineFile: file },
      { ...renamed(options, "measuring the baseline"), what: `measuring "${against}"`, backend },
    );
    return await isolate<TextJobInput, TextResult>(
      "evaluate/text.job",
      { kind: "evaluate", ...job, contextLength: undefined, against: file }, // the baseline's, whose default was settled then
      { ...options, what, backend },
    );
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** How many windows a model cuts a text into, without loading its weights. */
export async function countWindows(
  request: TextSource & { model: string },
  options: RunOptions = {},
): Promise<TextShape> {
  return diagnosing([request.model], () =>
    isolate<TextJobInput, TextShape>(
      "evaluate/text.job",
      { kind: "count", ...request },
      { ...options, what: `tokenizing for "${request.model}"` },
    ),
  );
}

/** Texts to tokens, one text after another, each with BOS and EOS where the vocabulary adds them; weights stay unloaded. */
export async function tokenizeText(
  request: { model: string; texts: readonly string[]; parseSpecial?: boolean | undefined },
  options: RunOptions = {},
): Promise<Int32Array> {
  return isolate<TextJobInput, Int32Array>(
    "evaluate/text.job",
    { kind: "tokenize", ...request },
    { ...options, what: `tokenizing for "${request.model}"` },
  );
}

function renamed(options: RunOptions, stage: string): RunOptions {
  const { onProgress } = options;
  return { ...options, ...(onProgress ? { onProgress: (progress) => onProgress({ ...progress, stage }) } : {}) };
}
