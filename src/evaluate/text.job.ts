// The child's side of evaluateText: loads a model, measures it, returns statistics.
import { existsSync } from "node:fs";

import { PareError } from "../errors.js";
import { loadEngine } from "../native/engine.js";
import type { JobContext } from "../native/isolate.js";
import { LlamaModel } from "../native/llama-model.js";
import { isBaselineFile } from "./baseline.js";
import { type TextResult, evaluateTextInProcess, isBaselineOf, vocabularySha256 } from "./text-in-process.js";
import { type WindowSelection, requireWindows, resolveContextLength, tokenizeTexts } from "./text-windows.js";

interface Source {
  model: string;
  texts?: readonly string[] | undefined;
  tokens?: Int32Array | undefined;
  contextLength?: number | undefined;
  parseSpecial?: boolean | undefined;
}

interface Measuring extends Source {
  windows?: WindowSelection | undefined;
  repack?: boolean | undefined;
  adapter?: string | undefined;
  threads?: number | undefined;
}

export type TextJobInput =
  | ({ kind: "count" } & Source)
  | ({ kind: "tokenize" } & Source)
  | ({ kind: "baseline"; candidate: string; baselineFile: string } & Measuring)
  | ({ kind: "evaluate"; against?: string | undefined; baselineFile?: string | undefined } & Measuring);

/** A text as a model's vocabulary and window cut it. */
export interface TextShape {
  tokens: number;
  /** Whole windows. */
  windows: number;
  /** Tokens per window. */
  contextLength: number;
}

export async function run(
  input: TextJobInput,
  context: JobContext,
): Promise<TextShape | Int32Array | TextResult | void> {
  const engine = loadEngine();
  const vocabOnly = input.kind === "count" || input.kind === "tokenize";
  if (input.kind === "baseline") requireOneVocabulary(input.model, input.candidate);
  using model = LlamaModel.load(engine, input.model, {
    repack: "repack" in input ? (input.repack ?? false) : false,
    vocabOnly,
    ...("adapter" in input && { adapter: input.adapter }),
  });
  const tokens = input.tokens ?? (input.texts && tokenizeTexts(model, input.texts, input));
  if (input.kind === "tokenize") return tokens ?? new Int32Array(0);
  if (input.kind === "count") {
    const contextLength = resolveContextLength(model, input.contextLength);
    const found = tokens?.length ?? 0;
    return { tokens: found, windows: requireWindows(found, contextLength), contextLength };
  }
  const request = { ...input, tokens };
  const isReusable =
    input.kind === "baseline" && existsSync(input.baselineFile) && (await isBaselineFile(input.baselineFile));
  if (isReusable && (await isBaselineOf(input.baselineFile, model, request).catch(() => false))) return undefined;
  const result = await evaluateTextInProcess(model, request, { onProgress: (progress) => context.progress(progress) });
  return input.kind === "baseline" ? undefined : result;
}

/** Said before the baseline is measured, not after. */
function requireOneVocabulary(baseline: string, candidate: string): void {
  const engine = loadEngine();
  using left = LlamaModel.load(engine, baseline, { vocabOnly: true });
  using right = LlamaModel.load(engine, candidate, { vocabOnly: true });
  if (vocabularySha256(left) === vocabularySha256(right)) return;
  const sizes =
    left.vocabularySize === right.vocabularySize
      ? "the same number of, but other, tokens"
      : `${right.vocabularySize} tokens and ${left.vocabularySize}`;
  throw new PareError(`Cannot compare "${candidate}" with "${baseline}": their vocabularies have ${sizes}`, {
    hint: "KL divergence needs two models of one vocabulary; compare others on a task",
  });
}
