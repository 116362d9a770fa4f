// `quantize` with calibration: text runs through the model, every tensor is rounded so that what it does to that text
// changes least, and where a size is asked for, each gets the type that its measured worth calls for.
import { stat } from "node:fs/promises";

import { UsageError } from "../../errors.js";
import { GGML_TYPES, type GgmlType } from "../../formats/gguf/ggml-types.js";
import { llamaShape } from "../../graph/llama.js";
import { diagnosing } from "../../model/diagnose.js";
import type { Model } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { isolate } from "../../native/isolate.js";
import type { TypeOverride } from "../../passes/quantize/assign-types.js";
import { type TensorOutcome, bitsPerWeightOf, countTypes, outcomes } from "../../passes/quantize/outcome.js";
import { parseChoices } from "../../passes/quantize/parse-choices.js";
import type { QuantizeOptions } from "../../passes/quantize/quantize-options.js";
import type { Effort } from "../../passes/quantize/round/problem.js";
import { sha256File } from "../../support/files.js";
import { optional } from "../../support/optional.js";
import type { RunOptions } from "../../support/progress.js";
import { versions } from "../versions.js";
import { type CacheBudget, type CacheTypes, parseCacheBudget, requireCacheRoom } from "./cache-budget.js";
import { CacheMeter } from "./cache-meter.js";
import { followedRequest, writeCalibratedRecipe } from "./calibrated-recipe.js";
import { checkPaths, checkRequest } from "./check-calibrated-request.js";
import { type CalibrationSources, checkSources, readCalibrationSources } from "./calibration-sources.js";
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
import { pinnedTypes } from "./pinned-types.js";
import type { CalibratedJobInput, CalibratedJobOutput } from "./quantize-calibrated.job.js";
import { type RoledFile, refuseCollisions } from "./refuse-collisions.js";
import { requireMeasured } from "./require-measured.js";
import { type SizeGoal, sizeGoal } from "./size-goal.js";
import { openTypes, solveMix } from "./solve-mix.js";

/** What to quantize, and how. */
export interface CalibratedRequest extends Omit<Partial<QuantizeOptions>, "type"> {
  /** GGUF model; of a split one any part. */
  input: string;
  /** Not needed for a dry run. */
  output?: string | undefined;
  /**
   * Text files that show what the model is used for. Or finished statistics, of `pare calibrate --hessians`: then tensors are
   * rounded by those, and texts beside them are what divergences are measured on. Only a recipe has them in itself.
   */
  calibrate?: readonly string[] | undefined;
  /** Recipe of an earlier calibrated run, to make the same file again. In place of all but input, output and threads. */
  recipe?: string | undefined;
  /** Follow it also with another model, other texts or statistics than its hashes say. */
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
  /** Most bytes of KV cache at a context length, `16MB@4096`, for which its types are chosen; or types to measure. Wants a text. */
  kvCache?: string | CacheTypes | undefined;
  /** Weigh the time of a token, too. */
  minimize?: "size" | "latency" | undefined;
  effort?: Effort | undefined;
  /** Parts of the method to leave out, for comparisons. */
  without?: readonly MethodPart[] | undefined;
  /** After rounding, train norms, scales and codes by the original's predictions. Wants a text. */
  recover?: boolean | undefined;
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

/** What was written, and how far it is from the source where a text was there to measure it on. */
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
    "divergence" | "recovery" | "predictedDivergence" | "statisticsTokens" | "contextLength" | "measurementWindows"
  >
> {
  /** Where measurements were written to or read from. */
  table?: string;
  /** The file of finished statistics that tensors were rounded by. */
  statistics?: string;
}

/**
 * Quantizes a model with calibration.
 *
 * Rounding: error feedback in the order of columns (GPTQ, arXiv:2210.17323, as LDLQ, arXiv:2307.13304) with importance-fitted
 * scales, coordinate descent on codes and scales, targets that follow the inputs of the rounded layers before (GPTAQ,
 * arXiv:2504.02692). Choice of types: divergence measured tensor by tensor, added up (arXiv:2411.17525), packed into the size.
 *
 * @throws {UsageError} when size and type are given or neither, a size can't be reached, or a name is unknown
 * @throws {FormatError} when a file to calibrate with is neither a text nor statistics
 * @throws {PareError} when the text is too short, statistics are of another model, or the model is not on this machine
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
  checkPaths(asked);
  const request = asked.recipe === undefined ? asked : await followedRequest(asked, options);
  checkRequest(request);
  if (request.dryRun) return foresee(request, options);
  const { input, saveRecipe } = request;
  const output = request.output!; // as the paths are checked
  await using model = await openModel(input, options);
  await refuseCollisions(filesWritten(request, output), filesRead(request, model.parts!, asked.recipe));
  const prepared = await prepare(request, model, options);
  const { sources, source, table } = prepared;
  const job = jobOf(request, output, prepared);
  const name = sources.texts.length > 0 ? "quantize-calibrated" : "quantize-by-file";
  const run = () =>
    isolate<CalibratedJobInput, CalibratedJobOutput>(`fit/allocate/${name}.job`, job, {
      ...options,
      what: `quantizing "${input}"`,
    });
  const done = await diagnosing([input], run);
  if (request.table !== undefined && sources.texts.length > 0) {
    await keepMeasurements(request.table, table, settingOf(job, prepared, done), done);
  }
  const { sizeBytes, tensors, cache, warnings, ...rest } = done;
  const {
    measured: _measured,
    cachesMeasured: _caches,
    textWindows: _windows,
    probeWindows: _probes,
    ...calibration
  } = rest;
  const result: CalibratedResult = {
    sizeBytes,
    bitsPerWeight: bitsPerWeightOf(tensors),
    seconds: (performance.now() - startMs) / 1000,
    types: countTypes(tensors),
    tensors,
    warnings: [...prepared.warnings, ...warnings],
    ...(cache && { cache }),
    calibration: {
      ...calibration,
      ...optional("table", request.table),
      ...optional("statistics", sources.statistics?.path),
    },
  };
  if (saveRecipe !== undefined) {
    const origin = { name: model.spec.name, sha256: source.sha256 };
    await writeCalibratedRecipe(saveRecipe, { request, result, source: origin, sources });
  }
  return result;
}

/** All that is known before a model runs. */
interface Preparation {
  sources: CalibrationSources;
  goal: { options: QuantizeOptions } | SizeGoal;
  /** The KV cache that is asked for, if one is. */
  cache: CacheBudget | CacheTypes | undefined;
  /** Types that are given where the others are chosen. */
  pins: TypeOverride[];
  /** The model's file; its hash only where a table or a recipe wants it. */
  source: { sha256: string; sizeBytes: number };
  table: Measurements | undefined;
  warnings: string[];
}

/** Reads and checks what the request names, alike for a run and a dry run. */
async function prepare(request: CalibratedRequest, model: Model, { signal }: RunOptions): Promise<Preparation> {
  const { calibrate = [], size, without, saveRecipe, contextLength, parseSpecial = false } = request;
  const sources = await readCalibrationSources(calibrate, signal);
  const goal =
    size === undefined ? { options: presetOptions(request) } : await sizeGoal(size, model, { signal, without });
  const cache = cacheWish(request, model);
  if (request.recover) llamaShape(model); // complains about a family that can't be trained
  const pins = "options" in goal ? [] : pinsOf(request, model);
  const isHashed = request.table !== undefined || saveRecipe !== undefined;
  const source = { sha256: isHashed ? await sha256File(model.parts!, signal) : "", sizeBytes: model.fileSizeBytes! };
  const table = await knownTable(request, source);
  if (table && !("options" in goal)) {
    const types = openTypes(model, goal, request.effort ?? "default");
    requireMeasured(request.table!, table, model.tensors.values(), { types, pinned: pinnedTypes(model, pins) });
  }
  const wanted = {
    isSized: size !== undefined,
    hasTable: table !== undefined,
    writesTable: request.table !== undefined && table === undefined,
    readsText: contextLength !== undefined || parseSpecial,
    choosesCache: cache !== undefined || "memory" in goal,
    recovers: request.recover ?? false,
  };
  const warnings = [...warningsOf(model.tensors.values()), ...(await checkSources(sources, model, wanted))];
  return { sources, goal, cache, pins, source, table, warnings };
}

function jobOf(
  request: CalibratedRequest,
  output: string,
  { sources, goal, cache, pins, table }: Preparation,
): CalibratedJobInput {
  return {
    input: request.input,
    output,
    texts: sources.texts.map(({ text }) => text),
    statistics: sources.statistics?.path,
    contextLength: request.contextLength,
    parseSpecial: request.parseSpecial ?? false,
    goal,
    cache,
    pins,
    minimize: request.minimize ?? "size",
    effort: request.effort ?? "default",
    without: [...(request.without ?? [])],
    recover: request.recover ?? false,
    threads: request.threads,
    table,
    writesTable: request.table !== undefined && table === undefined,
  };
}

/** What the table says the mix would be, in a second or two: another size needs no model to run. */
async function foresee(request: CalibratedRequest, options: RunOptions): Promise<CalibratedResult> {
  const startMs = performance.now();
  const { size, table: path, minimize = "size", effort = "default" } = request;
  if (size === undefined || path === undefined || !(await stat(path).catch(() => undefined))) {
    throw new UsageError("A dry run with --calibrate needs measurements that are there already", {
      hint: "Add --size and --table FILE, where FILE is what an earlier run wrote",
    });
  }
  await using model = await openModel(request.input, options);
  const prepared = await prepare(request, model, options);
  const [goal, table] = [prepared.goal as SizeGoal, prepared.table!]; // as there are a size and a table
  const meter = new CacheMeter({
    spec: model.spec,
    windowTokens: table.evaluation.contextLength,
    known: table.kvCache,
  });
  const mix = await solveMix(model, table.tensors, { goal, pins: prepared.pins, minimize, effort }, meter);
  const cache = mix.cache ?? (prepared.cache && (await chooseCache(prepared.cache, meter)));
  const tensors = outcomes(model, mix.assignments);
  return {
    sizeBytes: mix.sizeBytes,
    bitsPerWeight: bitsPerWeightOf(tensors),
    seconds: (performance.now() - startMs) / 1000,
    types: countTypes(tensors),
    tensors,
    warnings: prepared.warnings,
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

function filesWritten({ table, saveRecipe }: CalibratedRequest, output: string): RoledFile[] {
  return [
    { role: "output", path: output },
    ...(table === undefined ? [] : [{ role: "table", path: table }]),
    ...(saveRecipe === undefined ? [] : [{ role: "recipe", path: saveRecipe }]),
  ];
}

/** A table that is there already counts as written: measurements of a KV cache are added to it. */
function filesRead({ calibrate = [] }: CalibratedRequest, parts: readonly string[], recipe?: string): RoledFile[] {
  return [
    ...parts.map((path) => ({ role: "model", path })),
    ...calibrate.map((path) => ({ role: "file to calibrate with", path })),
    ...(recipe === undefined ? [] : [{ role: "recipe to follow", path: recipe }]),
  ];
}

function presetOptions(request: CalibratedRequest): QuantizeOptions {
  const { tensorTypes, outputType, tokenEmbeddingType, pure, keepOutput } = request;
  return { type: request.type!, tensorTypes, outputType, tokenEmbeddingType, pure, keepOutput, allowRequantize: true };
}

/** Where the token embedding is the output, too, it gets the output's type, unless something else gives it one. */
function pinsOf(request: CalibratedRequest, { tensors }: Pick<Model, "tensors">): TypeOverride[] {
  if (request.keepOutput) {
    throw new UsageError("With a size, an output to leave as it is has no type to count with", {
      hint: "Give it a type: --output-tensor-type f16",
    });
  }
  const { choices } = parseChoices({ ...presetOptions(request), type: "f16" }); // for its reading of names
  const pin = (name: string, type?: GgmlType) => (type ? [{ pattern: `^${name}\\.weight$`, type }] : []);
  const isTied = !tensors.has("output.weight");
  return [
    ...pin("token_embd", choices.tokenEmbeddingType),
    ...pin("output", choices.outputType),
    ...(choices.overrides ?? []),
    ...(isTied ? pin("token_embd", choices.outputType) : []),
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
  { measured, cachesMeasured = [] }: CalibratedJobOutput,
): Promise<void> {
  if (!known && !measured) return;
  const before = known ?? { ...emptyMeasurements(setting), tensors: measured! };
  const after = withCacheMeasurements(before, setting, cachesMeasured);
  if (after !== known) await writeMeasurements(path, after);
}

function settingOf(
  { input, effort }: CalibratedJobInput,
  { source, sources }: Preparation,
  done: CalibratedJobOutput,
): MeasurementSetting {
  const texts = sources.texts.map(({ path, sha256 }) => ({ name: path, sha256 }));
  const { contextLength, probeWindows, textWindows } = done as Required<CalibratedJobOutput>; // as there is a text
  return {
    source: { ...source, name: input },
    calibration: { texts, contextLength, windows: textWindows },
    evaluation: { texts, contextLength, windows: probeWindows },
    rounding: { effort, rows: EFFORTS[effort].sampleRows },
    seeds: {},
    versions: versions(),
  };
}
