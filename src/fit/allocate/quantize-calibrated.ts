// `quantize` with calibration: text runs through the model, every tensor is rounded so that what it does to that text
// changes least, and where a size is asked for, each gets the type that its measured worth calls for.
import { stat } from "node:fs/promises";
import { resolve } from "node:path";

import { UsageError } from "../../errors.js";
import { GGML_TYPES } from "../../formats/gguf/ggml-types.js";
import { diagnosing } from "../../model/diagnose.js";
import type { Model } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { isolate } from "../../native/isolate.js";
import type { TypeOverride } from "../../passes/quantize/assign-types.js";
import { type TensorOutcome, bitsPerWeightOf, countTypes, outcomes } from "../../passes/quantize/outcome.js";
import { parseChoices } from "../../passes/quantize/parse-choices.js";
import type { QuantizeOptions } from "../../passes/quantize/quantize-options.js";
import type { Effort } from "../../passes/quantize/round/problem.js";
import { refuseReplacing, sha256, sha256File } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { readText } from "../../support/read-text.js";
import { versions } from "../versions.js";
import { type CacheBudget, type CacheTypes, parseCacheBudget, requireCacheRoom } from "./cache-budget.js";
import { CacheMeter } from "./cache-meter.js";
import { followedRequest, writeCalibratedRecipe } from "./calibrated-recipe.js";
import { type CacheOutcome, chooseCache } from "./choose-cache.js";
import { EFFORTS } from "./effort.js";
import type { Measurements } from "./measurement-schema.js";
import {
  type MeasurementSetting,
  emptyMeasurements,
  readMeasurements,
  withCacheMeasurements,
  writeMeasurements,
} from "./measurement-table.js";
import type { MethodPart } from "../../passes/quantize/method-parts.js";
import type { CalibratedJobInput, CalibratedJobOutput } from "./quantize-calibrated.job.js";
import { sizeGoal } from "./size-goal.js";
import { parseSizeTarget } from "./size-target.js";
import { solveMix } from "./solve-mix.js";

/** What to quantize, and how. */
export interface CalibratedRequest extends Omit<Partial<QuantizeOptions>, "type"> {
  /** GGUF model; of a split one any part. */
  input: string;
  /** Not needed for a dry run. */
  output?: string | undefined;
  /** Text files that show what the model is used for. Only a recipe has them in itself. */
  calibrate?: readonly string[] | undefined;
  /** Recipe of an earlier calibrated run, to make the same file again. In place of all but input, output and threads. */
  recipe?: string | undefined;
  /** Follow it also with another model or other texts than its hashes say. */
  allowMismatch?: boolean | undefined;
  /** Where to write the recipe of this run. */
  saveRecipe?: string | undefined;
  /**
   * Size of the file: `4.2bpw`, `38MB`, `12345678B`, `-30%` or `DEVICE@4096`, whose memory weights and KV cache share. In
   * place of a type.
   */
  size?: string | undefined;
  /** Preset or ggml type. In place of a size. */
  type?: string | undefined;
  /** Types of some tensors, by pattern; with a size they are no part of the choice. */
  tensorTypes?: { pattern: string; type: string }[] | undefined;
  /** Most bytes of KV cache at a context length, `16MB@4096`, for which its types are chosen; or types to measure. */
  kvCache?: string | CacheTypes | undefined;
  /** Weigh the time of a token, too. */
  minimize?: "size" | "latency" | undefined;
  effort?: Effort | undefined;
  /** Parts of the method to leave out, for comparisons. */
  without?: readonly MethodPart[] | undefined;
  /** File of measurements: read where it is there, else written. Another size is then solved without measuring. */
  table?: string | undefined;
  /** Say what would be written, and write nothing: types from a table that is there. */
  dryRun?: boolean | undefined;
  /** Tokens per window; absent: 512, or what the model was trained on. */
  contextLength?: number | undefined;
  /** Read `<|im_start|>` and the like in the text as control tokens. */
  parseSpecial?: boolean | undefined;
  /** Threads; physical cores by default. */
  threads?: number | undefined;
}

/** What was written, and how far it is from the source. */
export interface CalibratedResult {
  sizeBytes: number;
  bitsPerWeight: number;
  seconds: number;
  types: Record<string, number>;
  tensors: TensorOutcome[];
  warnings: string[];
  /** The KV cache that it was made for, where one was asked for; else it is llama.cpp's own, in f16. */
  cache?: CacheOutcome;
  calibration: CalibrationFacts;
}

/** What is known of the calibration; of a dry run only what the table foresees. */
export interface CalibrationFacts extends Partial<
  Pick<
    CalibratedJobOutput,
    "divergence" | "predictedDivergence" | "statisticsTokens" | "contextLength" | "measurementWindows"
  >
> {
  /** Where measurements were written to or read from. */
  table?: string;
}

/**
 * Quantizes a model with calibration.
 *
 * Rounding: error feedback in the order of columns (GPTQ, arXiv:2210.17323, as LDLQ, arXiv:2307.13304) with importance-fitted
 * scales, coordinate descent on codes and scales, targets that follow the inputs of the rounded layers before (GPTAQ,
 * arXiv:2504.02692). Choice of types: divergence measured tensor by tensor, added up (arXiv:2411.17525), packed into the size.
 *
 * @throws {UsageError} when size and type are given or neither, a size can't be reached, or a name is unknown
 * @throws {PareError} when the text is too short
 * @throws {EngineError} when llama.cpp can't run the model, or an activation is NaN or infinite
 * @throws {ResourceError} when memory or disk have no room
 * @example
 * await quantizeCalibrated({ input: "f16.gguf", output: "small.gguf", size: "4.2bpw", calibrate: ["text.txt"] });
 */
export async function quantizeCalibrated(
  asked: CalibratedRequest,
  options: RunOptions = {},
): Promise<CalibratedResult> {
  const startMs = performance.now();
  const request = asked.recipe === undefined ? asked : await followedRequest(asked, options);
  const { input, output, calibrate = [], effort = "default", saveRecipe } = request;
  checkRequest(request);
  if (request.dryRun) return foresee(request, options);
  if (output === undefined) throw new UsageError("No output path is given", { hint: "Name the file to write" });
  await refuseTarget(output, [input, ...calibrate]);
  if (saveRecipe !== undefined) await refuseRecipeTarget(saveRecipe, output, request);
  const texts = await Promise.all(calibrate.map((path) => readText(path, options.signal)));
  await using model = await openModel(input, options);
  const warnings = warningsOf(model.tensors.values());
  const goal =
    request.size === undefined
      ? { options: presetOptions(request) }
      : await sizeGoal(request.size, model, { signal: options.signal, without: request.without });
  const cache = cacheWish(request, model);
  const source = { sha256: "", sizeBytes: model.fileSizeBytes! };
  const isSized = request.size !== undefined;
  if ((isSized && request.table !== undefined) || saveRecipe !== undefined) {
    source.sha256 = await sha256File(model.parts!, options.signal);
  }
  const table = isSized ? await knownTable(request, source) : undefined;
  const job: CalibratedJobInput = {
    input,
    output,
    texts,
    contextLength: request.contextLength,
    parseSpecial: request.parseSpecial ?? false,
    goal,
    cache,
    pins: isSized ? pinsOf(request) : [],
    minimize: request.minimize ?? "size",
    effort,
    without: [...(request.without ?? [])],
    threads: request.threads,
    table,
  };
  const run = () =>
    isolate<CalibratedJobInput, CalibratedJobOutput>("fit/allocate/quantize-calibrated.job", job, {
      ...options,
      what: `quantizing "${input}"`,
    });
  const done = await diagnosing([input], run);
  if (isSized && request.table !== undefined) {
    await keepMeasurements(request.table, table, settingOf(request, source, texts, done, effort), done);
  }
  const { sizeBytes, tensors, cache: cacheDone, measured: _measured, cachesMeasured: _caches, ...calibration } = done;
  const result: CalibratedResult = {
    sizeBytes,
    bitsPerWeight: bitsPerWeightOf(tensors),
    seconds: (performance.now() - startMs) / 1000,
    types: countTypes(tensors),
    tensors,
    warnings,
    ...(cacheDone && { cache: cacheDone }),
    calibration: { ...calibration, ...(isSized && request.table !== undefined && { table: request.table }) },
  };
  if (saveRecipe !== undefined) {
    const origin = { name: model.spec.name, sha256: source.sha256 };
    await writeCalibratedRecipe(saveRecipe, { request, result, source: origin, textHashes: texts.map(sha256) });
  }
  return result;
}

/** What the table says the mix would be, in a second or two: another size needs no model to run. */
async function foresee(request: CalibratedRequest, options: RunOptions): Promise<CalibratedResult> {
  const startMs = performance.now();
  const { input, size, table: path, minimize = "size", effort = "default" } = request;
  if (size === undefined || path === undefined || !(await stat(path).catch(() => undefined))) {
    throw new UsageError("A dry run with --calibrate needs measurements that are there already", {
      hint: "Add --size and --table FILE, where FILE is what an earlier run wrote",
    });
  }
  await using model = await openModel(input, options);
  const table = (await knownTable(request, {
    sha256: await sha256File(model.parts!, options.signal),
  }))!;
  const goal = await sizeGoal(size, model, { signal: options.signal, without: request.without });
  const meter = new CacheMeter({
    spec: model.spec,
    windowTokens: table.evaluation.contextLength,
    known: table.kvCache,
  });
  const mix = await solveMix(model, table.tensors, { goal, pins: pinsOf(request), minimize, effort }, meter);
  const wish = cacheWish(request, model);
  const cache = mix.cache ?? (wish && (await chooseCache(wish, meter)));
  const tensors = outcomes(model, mix.assignments);
  return {
    sizeBytes: mix.sizeBytes,
    bitsPerWeight: bitsPerWeightOf(tensors),
    seconds: (performance.now() - startMs) / 1000,
    types: countTypes(tensors),
    tensors,
    warnings: warningsOf(model.tensors.values()),
    ...(cache && { cache }),
    calibration: { predictedDivergence: mix.predictedDivergence, table: path },
  };
}

/** The KV cache that is asked for, if one is. @throws {ResourceError} when no types are as small */
function cacheWish(
  { kvCache }: CalibratedRequest,
  { spec }: Pick<Model, "spec">,
): CacheBudget | CacheTypes | undefined {
  const wish = typeof kvCache === "string" ? parseCacheBudget(kvCache) : kvCache;
  if (wish && "bytesMax" in wish) requireCacheRoom(spec, wish);
  return wish;
}

function checkRequest({ size, type, calibrate = [], ...request }: CalibratedRequest): void {
  if (calibrate.length === 0) {
    throw new UsageError("No text to calibrate on is given", { hint: "Add --calibrate text.txt" });
  }
  if ((size === undefined) === (type === undefined)) {
    throw new UsageError(
      size === undefined ? "Neither a size nor a type is given" : "A size and a type are given, one is wanted",
      { hint: "Add --size 4.2bpw, or --type q4_K_M" },
    );
  }
  if (typeof request.kvCache === "string") parseCacheBudget(request.kvCache);
  if (size !== undefined) {
    if (parseSizeTarget(size).kind !== "device" || request.kvCache === undefined) return;
    throw new UsageError("A device is given, whose memory the KV cache shares, and room for a KV cache besides", {
      hint: "Leave --kv-cache out, or give the size in bytes",
    });
  }
  if (request.table !== undefined || request.minimize !== undefined) {
    throw new UsageError("Measurements and what to minimize matter only where types are chosen", {
      hint: "Add --size",
    });
  }
  parseChoices({ ...request, type: type! });
}

async function refuseTarget(output: string, sources: readonly string[]): Promise<void> {
  const target = await stat(output).catch(() => undefined);
  if (target?.isDirectory()) {
    throw new UsageError(`Cannot write "${output}": a folder stands there`, { hint: "Name the file in it, too" });
  }
  await refuseReplacing(output, sources);
}

/** A recipe takes the place of nothing that it speaks of. */
async function refuseRecipeTarget(path: string, output: string, { input, calibrate = [], table }: CalibratedRequest) {
  if (resolve(path) === resolve(output)) {
    throw new UsageError(`Model and recipe are the same file: "${path}"`, {
      hint: "Choose another path for the recipe",
    });
  }
  await refuseTarget(path, [input, output, ...calibrate, ...(table === undefined ? [] : [table])]);
}

function presetOptions(request: CalibratedRequest): QuantizeOptions {
  const { tensorTypes, outputType, tokenEmbeddingType, pure, keepOutput } = request;
  return { type: request.type!, tensorTypes, outputType, tokenEmbeddingType, pure, keepOutput, allowRequantize: true };
}

function pinsOf(request: CalibratedRequest): TypeOverride[] {
  if (request.keepOutput) {
    throw new UsageError("With a size, an output to leave as it is has no type to count with", {
      hint: "Give it a type: --output-tensor-type f16",
    });
  }
  const { choices } = parseChoices({ ...presetOptions(request), type: "f16" }); // for its reading of names
  return [
    ...(choices.tokenEmbeddingType ? [{ pattern: "^token_embd\\.weight$", type: choices.tokenEmbeddingType }] : []),
    ...(choices.outputType ? [{ pattern: "^output\\.weight$", type: choices.outputType }] : []),
    ...(choices.overrides ?? []),
  ];
}

function warningsOf(tensors: Iterable<{ name: string; type: keyof typeof GGML_TYPES }>): string[] {
  const quantized = [...tensors].filter(({ type }) => GGML_TYPES[type].quantized);
  if (quantized.length === 0) return [];
  return [
    `${quantized.length} tensors of the source are quantized already, such as "${quantized[0]!.name}" (${quantized[0]!.type}): a second loss ` +
      "adds to the first, and what is measured is the distance from this source, not from the original",
  ];
}

async function knownTable({ table }: CalibratedRequest, source: { sha256: string }): Promise<Measurements | undefined> {
  if (table === undefined) return undefined;
  if (!(await stat(table).catch(() => undefined))) return undefined;
  return readMeasurements(table, source);
}

/** Writes a table where there was none, and what was measured of KV caches into one that was read. */
async function keepMeasurements(
  path: string,
  known: Measurements | undefined,
  setting: MeasurementSetting,
  { measured, cachesMeasured }: CalibratedJobOutput,
): Promise<void> {
  if (!known && !measured) return;
  const before = known ?? { ...emptyMeasurements(setting), tensors: measured! };
  const after = withCacheMeasurements(before, setting, cachesMeasured);
  if (after !== known) await writeMeasurements(path, after);
}

function settingOf(
  { input, calibrate }: CalibratedRequest,
  source: { sha256: string; sizeBytes: number },
  texts: readonly string[],
  done: CalibratedJobOutput,
  effort: Effort,
): MeasurementSetting {
  const hashes = texts.map((text, i) => ({ name: calibrate![i]!, sha256: sha256(text) }));
  const { contextLength, statisticsTokens, measurementWindows } = done;
  return {
    source: { ...source, name: input },
    calibration: { texts: hashes, contextLength, windows: statisticsTokens / contextLength },
    evaluation: { texts: hashes, contextLength, windows: measurementWindows },
    rounding: { effort, rows: EFFORTS[effort].sampleRows },
    seeds: {},
    versions: versions(),
  };
}
