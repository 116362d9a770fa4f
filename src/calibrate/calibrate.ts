// Calibration: text through a model, statistics of what each linear layer sees. The engine runs in a child process
// (`calibrate.job.ts`); what comes back are sums, never activations or logits.
import { stat } from "node:fs/promises";
import { resolve } from "node:path";

import { PareError, UsageError } from "../errors.js";
import { diagnosing } from "../model/diagnose.js";
import { isolate } from "../native/isolate.js";
import type { Backend } from "../native/platform.js";
import { AtomicFile, refuseReplacing } from "../support/files.js";
import type { RunOptions } from "../support/progress.js";
import { readText } from "../support/read-text.js";
import type { CalibrationJobInput, CalibrationJobOutput } from "./calibrate.job.js";
import type { Importance } from "./importance.js";
import type { LayerSimilarity } from "./similarity.js";
import { ROWS_MIN } from "./windows.js";
import { writeImportance } from "./write-imatrix.js";

/** Text itself, or a file of it; with `content`, the path only says where it came from. */
export type CalibrationText = string | { path: string; content?: string };

export interface CalibrationRequest {
  /** A GGUF file that llama.cpp runs. */
  model: string;
  texts: readonly CalibrationText[];
  /** Tokens per window; by default 512, or what the model was trained on if that is less. */
  contextLength?: number;
  /** Most windows to take; all by default. */
  chunks?: number;
  /** Physical cores by default. */
  threads?: number;
  /** Also watch `output.weight`. */
  processOutput?: boolean;
  /** Read `<|im_start|>` and the like in the text as control tokens, as chat-formatted text wants. */
  parseSpecial?: boolean;
  /** Where to write importance data: GGUF, or `.dat` by extension. */
  output?: string;
  /** Where to write full input Hessians as GGUF (see `hessian-file.ts`). */
  hessians?: string;
  /** Only Hessians of weights with such names: a regular expression. */
  hessianTensors?: string;
  /** Tokens per expert of each routed layer. */
  experts?: boolean;
  /** Cosine between each block's input and output. */
  similarity?: boolean;
  backend?: Backend;
}

/** How often each expert of a routed layer was chosen. */
export interface ExpertUse {
  /** The first weight of the layer's experts, such as `blk.0.ffn_gate_exps.weight`. */
  weight: string;
  tokensPerExpert: number[];
  /** All experts together: tokens × experts used per token. */
  tokensTotal: number;
  expertsUnused: number;
}

export interface CalibrationResult {
  importance: Importance;
  contextLength: number;
  windows: number;
  tokens: number;
  /** Computing time, without loading the model. */
  seconds: number;
  experts?: ExpertUse[];
  similarity?: LayerSimilarity[];
  output?: string;
  hessians?: { path: string; weights: number };
  /** What may make the statistics less useful, as sentences. */
  warnings: string[];
}

/**
 * Runs text through a model and keeps statistics of every linear layer's input: the sum of x² per column (importance), on
 * request Σ x xᵀ (Hessians), tokens per expert, and how much each block changes its input. Text, windows and rules are
 * those of llama-imatrix, and so are the numbers, to float rounding.
 *
 * @throws {UsageError} when the text is empty or an option can't be
 * @throws {PareError} when the text is shorter than one window or can't be read
 * @throws {EngineError} when llama.cpp can't run the model, or an activation is NaN or infinite
 * @throws {ResourceError} when memory can't hold the Hessians that were asked for
 * @example
 * const { importance } = await calibrate({ model: "model.gguf", texts: [{ path: "text.txt" }], output: "imatrix.gguf" });
 */
export async function calibrate(request: CalibrationRequest, options: RunOptions = {}): Promise<CalibrationResult> {
  checkRequest(request);
  await checkOutputs(request);
  const texts = await readTexts(request.texts, options.signal);
  const found = await runJob(request, texts, options);
  const datasets = request.texts.flatMap((text) => (typeof text === "string" ? [] : [text.path]));
  const importance = { entries: found.entries, chunkCount: found.windows, chunkSize: found.contextLength, datasets };
  if (request.output !== undefined) await writeImportance(request.output, importance, { signal: options.signal });
  const { contextLength, windows, tokens, seconds, similarity } = found;
  return {
    importance,
    contextLength,
    windows,
    tokens,
    seconds,
    ...(request.experts && { experts: expertUse(found) }),
    ...(similarity && { similarity }),
    ...(request.output !== undefined && { output: request.output }),
    ...(request.hessians !== undefined && { hessians: { path: request.hessians, weights: found.hessianWeights } }),
    warnings: warningsOf(found),
  };
}

function checkRequest({ texts, contextLength, chunks, threads }: CalibrationRequest): void {
  if (texts.length === 0)
    throw new UsageError("Cannot calibrate: no text is given", { hint: "Name one or more text files" });
  if (contextLength !== undefined && !(Number.isInteger(contextLength) && contextLength >= ROWS_MIN)) {
    throw new UsageError(`Cannot calibrate with windows of ${contextLength} tokens: ${ROWS_MIN} or more are needed`);
  }
  for (const [what, count] of Object.entries({ chunks, threads })) {
    if (count !== undefined && !(Number.isInteger(count) && count >= 1)) {
      throw new UsageError(`Cannot calibrate with ${count} ${what}: 1 or more are needed`);
    }
  }
}

/** Tells before the long run that its results could not be written. */
async function checkOutputs({ output, hessians, model, texts }: CalibrationRequest): Promise<void> {
  const sources = [model, ...texts.flatMap((text) => (typeof text === "string" ? [] : [text.path]))];
  if (output !== undefined && hessians !== undefined && resolve(output) === resolve(hessians)) {
    throw new UsageError(`Cannot write importance data and Hessians to one file, "${output}"`, {
      hint: "Choose another path for one of them",
    });
  }
  for (const path of [output, hessians]) {
    if (path === undefined) continue;
    await refuseReplacing(path, sources);
    await requireWritable(path);
  }
}

async function requireWritable(path: string): Promise<void> {
  const target = await stat(path).catch(() => undefined);
  if (target?.isDirectory())
    throw new PareError(`Cannot write "${path}": a folder stands there`, { hint: "Choose another output path" });
  await using _probe = await AtomicFile.create(path);
}

async function readTexts(texts: readonly CalibrationText[], signal?: AbortSignal): Promise<string[]> {
  const contents = await Promise.all(
    texts.map((text) => (typeof text === "string" ? text : (text.content ?? readText(text.path, signal)))),
  );
  contents.forEach((content, i) => {
    const text = texts[i]!;
    const name = typeof text === "string" ? `text ${i + 1}` : `"${text.path}"`;
    if (content.trim() === "") throw new UsageError(`Cannot calibrate: ${name} is empty`);
  });
  return contents;
}

function runJob(request: CalibrationRequest, texts: string[], options: RunOptions): Promise<CalibrationJobOutput> {
  const { model, contextLength, chunks, threads, backend, hessians } = request;
  const input: CalibrationJobInput = {
    model,
    texts,
    contextLength,
    chunks,
    threads,
    hessians: hessians === undefined ? undefined : { path: hessians, weights: request.hessianTensors },
    processOutput: request.processOutput ?? false,
    parseSpecial: request.parseSpecial ?? false,
    similarity: request.similarity ?? false,
  };
  const what = `calibrating "${model}"`;
  return diagnosing([model], () =>
    isolate<CalibrationJobInput, CalibrationJobOutput>("calibrate/calibrate.job", input, { ...options, what, backend }),
  );
}

/** One line per routed layer: gate, up and down experts of a layer are chosen together. */
function expertUse({ entries, routed }: CalibrationJobOutput): ExpertUse[] {
  const layers = new Map<string, ExpertUse>();
  for (const weight of routed) {
    const layer = /^blk\.\d+/.exec(weight)?.[0] ?? weight;
    if (layers.has(layer)) continue;
    const tokensPerExpert = [...entries.get(weight)!.counts];
    layers.set(layer, {
      weight,
      tokensPerExpert,
      tokensTotal: tokensPerExpert.reduce((total, tokens) => total + tokens, 0),
      expertsUnused: tokensPerExpert.filter((tokens) => tokens === 0).length,
    });
  }
  return [...layers.values()];
}

function warningsOf(found: CalibrationJobOutput): string[] {
  const warnings: string[] = [];
  if (found.contextLength > found.contextLengthTrained) {
    warnings.push(
      `The model was trained on ${found.contextLengthTrained} tokens of context, the windows have ${found.contextLength}`,
    );
  }
  for (const { weight, expertsUnused, tokensPerExpert } of expertUse(found)) {
    if (expertsUnused > 0)
      warnings.push(
        `${expertsUnused} of ${tokensPerExpert.length} experts at "${weight}" saw no token; more text would help`,
      );
  }
  return warnings;
}
