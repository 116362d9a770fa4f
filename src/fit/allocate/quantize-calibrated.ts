// `quantize` with calibration: text runs through the model, every tensor is rounded so that what it does to that text
// changes least, and where a size is asked for, each gets the type that its measured worth calls for.
import { stat } from "node:fs/promises";

import { UsageError } from "../../errors.js";
import { GGML_TYPES } from "../../formats/gguf/ggml-types.js";
import { diagnosing } from "../../model/diagnose.js";
import { openModel } from "../../model/open.js";
import { isolate } from "../../native/isolate.js";
import type { TypeOverride } from "../../passes/quantize/assign-types.js";
import { type TensorOutcome, bitsPerWeightOf, countTypes } from "../../passes/quantize/outcome.js";
import { parseChoices } from "../../passes/quantize/parse-choices.js";
import type { QuantizeOptions } from "../../passes/quantize/quantize-options.js";
import type { Effort } from "../../passes/quantize/round/problem.js";
import { refuseReplacing, sha256, sha256File } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { versions } from "../versions.js";
import { type CalibrationSources, checkSources, readCalibrationSources } from "./calibration-sources.js";
import { EFFORTS } from "./effort.js";
import type { Measurements } from "./measurement-schema.js";
import {
  type MeasurementSetting,
  emptyMeasurements,
  readMeasurements,
  writeMeasurements,
} from "./measurement-table.js";
import type { MethodPart } from "../../passes/quantize/method-parts.js";
import type { CalibratedJobInput, CalibratedJobOutput } from "./quantize-calibrated.job.js";
import { parseSizeTarget, targetBytes } from "./size-target.js";

/** What to quantize, and how. */
export interface CalibratedRequest extends Omit<Partial<QuantizeOptions>, "type"> {
  /** GGUF model; of a split one any part. */
  input: string;
  output: string;
  /**
   * Text files that show what the model is used for. Or finished statistics, of `pare calibrate --hessians`: then tensors are
   * rounded by those, and texts beside them are what divergences are measured on.
   */
  calibrate: readonly string[];
  /** Size of the file: `4.2bpw`, `38MB`, `12345678B`, `-30%` or `DEVICE@4096`. In place of a type. */
  size?: string | undefined;
  /** Preset or ggml type. In place of a size. */
  type?: string | undefined;
  /** Types of some tensors, by pattern; with a size they are no part of the choice. */
  tensorTypes?: { pattern: string; type: string }[] | undefined;
  /** Weigh the time of a token, too. */
  minimize?: "size" | "latency" | undefined;
  effort?: Effort | undefined;
  /** Parts of the method to leave out, for comparisons. */
  without?: readonly MethodPart[] | undefined;
  /** File of measurements: read where it is there, else written. Another size is then solved without measuring. */
  table?: string | undefined;
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
  calibration: Pick<
    CalibratedJobOutput,
    "divergence" | "predictedDivergence" | "statisticsTokens" | "contextLength" | "measurementWindows"
  > & {
    /** Where measurements were written to or read from. */
    table?: string;
    /** The file of finished statistics that tensors were rounded by. */
    statistics?: string;
  };
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
 * @throws {PareError} when the text is too short, or statistics are of another model
 * @throws {EngineError} when llama.cpp can't run the model, or an activation is NaN or infinite
 * @throws {ResourceError} when memory or disk have no room
 * @example
 * await quantizeCalibrated({ input: "f16.gguf", output: "small.gguf", size: "4.2bpw", calibrate: ["text.txt"] });
 */
export async function quantizeCalibrated(
  request: CalibratedRequest,
  options: RunOptions = {},
): Promise<CalibratedResult> {
  const startMs = performance.now();
  const { input, output, effort = "default" } = request;
  checkRequest(request);
  await refuseTarget(output, [input, ...request.calibrate]);
  const sources = await readCalibrationSources(request.calibrate, options.signal);
  await using model = await openModel(input, options);
  const warnings = warningsOf(model.tensors.values());
  const goal =
    request.size === undefined
      ? { options: presetOptions(request) }
      : { fileBytes: await targetBytes(parseSizeTarget(request.size), model, { signal: options.signal }) };
  const source = { sha256: "", sizeBytes: model.fileSizeBytes! };
  const isSized = request.size !== undefined;
  if (isSized && request.table !== undefined) source.sha256 = await sha256File(model.parts!, options.signal);
  const table = isSized ? await knownTable(request, source) : undefined;
  const [hasTable, writesTable] = [table !== undefined, table === undefined && request.table !== undefined];
  const readsText = request.contextLength !== undefined || request.parseSpecial === true;
  warnings.push(...(await checkSources(sources, model, { isSized, hasTable, writesTable, readsText })));
  const job: CalibratedJobInput = {
    input,
    output,
    texts: sources.texts.map(({ text }) => text),
    statistics: sources.statistics?.path,
    contextLength: request.contextLength,
    parseSpecial: request.parseSpecial ?? false,
    goal,
    pins: isSized ? pinsOf(request) : [],
    minimize: request.minimize ?? "size",
    effort,
    without: [...(request.without ?? [])],
    threads: request.threads,
    table: table?.tensors,
  };
  const name = sources.texts.length > 0 ? "quantize-calibrated" : "quantize-by-file";
  const run = () =>
    isolate<CalibratedJobInput, CalibratedJobOutput>(`fit/allocate/${name}.job`, job, {
      ...options,
      what: `quantizing "${input}"`,
    });
  const done = await diagnosing([input], run);
  if (done.measured && request.table !== undefined) {
    const setting = settingOf(request, source, sources, done, effort);
    await writeMeasurements(request.table, { ...emptyMeasurements(setting), tensors: done.measured });
  }
  const { sizeBytes, tensors, measured: _measured, textWindows: _windows, warnings: found, ...calibration } = done;
  return {
    sizeBytes,
    bitsPerWeight: bitsPerWeightOf(tensors),
    seconds: (performance.now() - startMs) / 1000,
    types: countTypes(tensors),
    tensors,
    warnings: [...warnings, ...found],
    calibration: {
      ...calibration,
      ...(isSized && request.table !== undefined && { table: request.table }),
      ...(sources.statistics && { statistics: sources.statistics.path }),
    },
  };
}

function checkRequest({ size, type, calibrate, ...request }: CalibratedRequest): void {
  if (calibrate.length === 0) {
    throw new UsageError("No text to calibrate on is given", { hint: "Add --calibrate text.txt" });
  }
  if ((size === undefined) === (type === undefined)) {
    throw new UsageError(
      size === undefined ? "Neither a size nor a type is given" : "A size and a type are given, one is wanted",
      { hint: "Add --size 4.2bpw, or --type q4_K_M" },
    );
  }
  if (size !== undefined) parseSizeTarget(size);
  else if (request.table !== undefined || request.minimize !== undefined) {
    throw new UsageError("Measurements and what to minimize matter only where types are chosen", {
      hint: "Add --size",
    });
  } else parseChoices({ ...request, type: type! });
}

async function refuseTarget(output: string, sources: readonly string[]): Promise<void> {
  const target = await stat(output).catch(() => undefined);
  if (target?.isDirectory()) {
    throw new UsageError(`Cannot write "${output}": a folder stands there`, { hint: "Name the file in it, too" });
  }
  await refuseReplacing(output, sources);
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

function settingOf(
  { input }: CalibratedRequest,
  source: { sha256: string; sizeBytes: number },
  { texts }: CalibrationSources,
  done: CalibratedJobOutput,
  effort: Effort,
): MeasurementSetting {
  const hashes = texts.map(({ path, text }) => ({ name: path, sha256: sha256(text) }));
  const { contextLength, measurementWindows, textWindows } = done as Required<CalibratedJobOutput>; // as there is a text
  return {
    source: { ...source, name: input },
    calibration: { texts: hashes, contextLength, windows: textWindows },
    evaluation: { texts: hashes, contextLength, windows: measurementWindows },
    rounding: { effort, rows: EFFORTS[effort].sampleRows },
    seeds: {},
    versions: versions(),
  };
}
