// Measures a loaded model on text, in this process: the core of `evaluateText`, for jobs that run in a child process already.
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { basename } from "node:path";

import { PareError } from "../errors.js";
import type { LlamaModel } from "../native/llama-model.js";
import { sha256File } from "../support/files.js";
import type { RunOptions } from "../support/progress.js";
import { type BaselineHeader, BaselineReader, BaselineWriter } from "./baseline.js";
import { scoredPerWindow } from "./baseline-record.js";
import { REST_SHARE, SAMPLES } from "./compact-distribution.js";
import { type MeasureTextPlan, measureText } from "./measure-text.js";
import { type TextSummary, summarizeText } from "./summarize-text.js";
import { type WindowSelection, requireWindows, resolveContextLength, selectWindows } from "./text-windows.js";
import type { TextSeconds } from "./window-runner.js";
import { BaselineScorer, ComparingScorer, LikelihoodScorer, type WindowScorer } from "./window-scorers.js";

export interface TextInProcessRequest {
  /** The text's tokens, see `tokenizeTexts`; absent: those in the baseline file. */
  tokens?: Int32Array | undefined;
  /** Tokens per window; absent: the baseline file's, else 512 or what the model was trained on. */
  contextLength?: number | undefined;
  /** Absent: the baseline file's, else all. */
  windows?: WindowSelection | undefined;
  /** A baseline file to compare with. */
  against?: string | undefined;
  /** Where to write this model's own baseline; not together with `against`. */
  baselineFile?: string | undefined;
  /** SHA-256 of the model's file, where it is known; else it is computed for a baseline's header. */
  modelSha256?: string | undefined;
  /** How the model was loaded, for the record. */
  repack?: boolean | undefined;
  threads?: number | undefined;
}

export interface TextResult extends TextSummary {
  /** The model's path. */
  model: string;
  /** The baseline model's name and file, when compared with one. */
  baseline?: { name: string; sizeBytes: number; sha256: string };
  /** Tokens per window. */
  contextLength: number;
  /** Weights rearranged for speed at load; changes some types' results by a few percent of their divergence. */
  repack: boolean;
  seconds: TextSeconds;
  /** Tokens run through the model per second of the forward pass, unscored ones included. */
  tokensPerSecond: number;
}

/**
 * Measures a loaded model on text.
 *
 * @throws {PareError} when the text has no whole window, or the baseline is of another vocabulary, window or text
 * @throws {FormatError} when the baseline file is damaged
 * @throws {EngineError} when the logits are not numbers
 */
export async function evaluateTextInProcess(
  model: LlamaModel,
  request: TextInProcessRequest,
  options: RunOptions = {},
): Promise<TextResult> {
  if (request.against === undefined) {
    const plan = planWindows(model, request);
    if (request.baselineFile === undefined) {
      return measureWith(model, request, plan, new LikelihoodScorer(scoredTokens(plan)), options);
    }
    await using writer = await BaselineWriter.create(request.baselineFile, await baselineHeader(model, request, plan));
    const scorer = new BaselineScorer(scoredTokens(plan), scoredPerWindow(plan.contextLength), writer);
    const result = await measureWith(model, request, plan, scorer, options);
    await writer.commit();
    return result;
  }
  if (request.baselineFile !== undefined)
    throw new PareError("A baseline can't be written while comparing with another");
  await using reader = await BaselineReader.open(request.against);
  requireSameVocabulary(model, reader);
  const plan = await planAgainst(model, request, reader);
  const result = await measureWith(model, request, plan, new ComparingScorer(scoredTokens(plan), reader), options);
  return { ...result, baseline: reader.header.model };
}

/** Whether a baseline file is exactly what `request` would write for this model. */
export async function isBaselineOf(path: string, model: LlamaModel, request: TextInProcessRequest): Promise<boolean> {
  const wanted = await baselineHeader(model, request, planWindows(model, request));
  await using reader = await BaselineReader.open(path);
  const found = { ...reader.header, model: { ...reader.header.model, name: wanted.model.name } }; // a renamed file is the same
  return JSON.stringify(found) === JSON.stringify(wanted);
}

/**
 * A hash that tells vocabularies apart: their size, their special tokens and some thousand of their pieces.
 *
 * @returns lower-case hex
 */
export function vocabularySha256(model: LlamaModel): string {
  const hash = createHash("sha256");
  hash.update(`${model.vocabularySize} ${model.addsBos} ${model.bosToken} ${model.eosToken}\n`);
  const step = Math.max(1, Math.floor(model.vocabularySize / 2048));
  for (let token = 0; token < model.vocabularySize; token += step)
    hash.update(model.tokenBytes(token, true)).update("\0");
  return hash.digest("hex");
}

async function measureWith(
  model: LlamaModel,
  request: TextInProcessRequest,
  plan: MeasureTextPlan,
  scorer: WindowScorer,
  options: RunOptions,
): Promise<TextResult> {
  const seconds = await measureText(model, plan, scorer, options);
  return {
    model: model.path,
    contextLength: plan.contextLength,
    ...summarizeText(scorer.measurements, plan.windows, scoredPerWindow(plan.contextLength)),
    repack: request.repack ?? false,
    seconds,
    tokensPerSecond: (plan.windows.length * plan.contextLength) / seconds.forward,
  };
}

function planWindows(model: LlamaModel, request: TextInProcessRequest): MeasureTextPlan {
  if (!request.tokens) throw new PareError("There is no text to measure on", { hint: "Give a text with --text" });
  const contextLength = resolveContextLength(model, request.contextLength);
  const windows = selectWindows(requireWindows(request.tokens.length, contextLength), request.windows);
  return { tokens: request.tokens, contextLength, windows, threads: request.threads };
}

async function planAgainst(
  model: LlamaModel,
  request: TextInProcessRequest,
  reader: BaselineReader,
): Promise<MeasureTextPlan> {
  const { header } = reader;
  if (request.contextLength !== undefined && request.contextLength !== header.contextLength) {
    throw new PareError(
      `Baseline "${reader.path}" has windows of ${header.contextLength} tokens, asked for are ${request.contextLength}`,
      {
        hint: `Leave --context away, or write the baseline again with --context ${request.contextLength}`,
      },
    );
  }
  const { contextLength } = header;
  const stored = [...header.windows];
  const windows = request.windows === undefined ? stored : selectWindows(stored.at(-1)! + 1, request.windows);
  const tokens = request.tokens ?? (await tokensOf(reader, windows));
  const available = requireWindows(tokens.length, contextLength);
  // Only the windows that are measured must be the same text: the file may hold more of it than is given.
  if (request.tokens && windows.at(-1)! >= available)
    throw otherText(reader, `the text has ${available} windows, the baseline's reach to ${windows.at(-1)}`);
  if (
    request.tokens &&
    windows.length === stored.length &&
    tokensSha256(tokens, windows, contextLength) !== header.tokensSha256
  ) {
    throw otherText(reader, "its tokens differ");
  }
  return { tokens, contextLength, windows, threads: request.threads };
}

function otherText(reader: BaselineReader, reason: string): PareError {
  return new PareError(`Baseline "${reader.path}" is of another text: ${reason}`, {
    hint: "Compare on the text that the baseline was written from",
  });
}

/** The text as the baseline file has it, at its place; windows that are not measured stay empty. */
async function tokensOf(reader: BaselineReader, windows: readonly number[]): Promise<Int32Array> {
  const { contextLength } = reader.header;
  const tokens = new Int32Array((windows.at(-1)! + 1) * contextLength);
  for (const window of windows) tokens.set((await reader.window(window)).tokens, window * contextLength);
  return tokens;
}

function requireSameVocabulary(model: LlamaModel, { path, header }: BaselineReader): void {
  if (header.vocabularySize !== model.vocabularySize) {
    throw new PareError(
      `Cannot compare "${model.path}" with baseline "${path}": its vocabulary has ${model.vocabularySize} tokens, the baseline's ${header.vocabularySize}`,
      { hint: "KL divergence needs two models of one vocabulary; compare others on a task" },
    );
  }
  if (header.vocabularySha256 === vocabularySha256(model)) return;
  throw new PareError(`Cannot compare "${model.path}" with baseline "${path}": their vocabularies have other tokens`, {
    hint: "KL divergence needs two models of one vocabulary; compare others on a task",
  });
}

async function baselineHeader(
  model: LlamaModel,
  request: TextInProcessRequest,
  plan: MeasureTextPlan,
): Promise<BaselineHeader> {
  return {
    model: {
      name: basename(model.path),
      sizeBytes: (await stat(model.path)).size,
      sha256: request.modelSha256 ?? (await sha256File(model.path)),
    },
    vocabularySize: model.vocabularySize,
    vocabularySha256: vocabularySha256(model),
    contextLength: plan.contextLength,
    windows: [...plan.windows],
    tokensSha256: tokensSha256(plan.tokens, plan.windows, plan.contextLength),
    repack: request.repack ?? false,
    engine: `${model.engine.backend} ${model.engine.llamaVersion}`,
    restShare: REST_SHARE,
    samples: SAMPLES,
  };
}

function tokensSha256(tokens: Int32Array, windows: readonly number[], contextLength: number): string {
  const hash = createHash("sha256");
  for (const window of windows) {
    const part = tokens.subarray(window * contextLength, (window + 1) * contextLength);
    hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  }
  return hash.digest("hex");
}

function scoredTokens(plan: MeasureTextPlan): number {
  return plan.windows.length * scoredPerWindow(plan.contextLength);
}
