// What a job that calibrates works on: the model in memory, its windows of text, and what the original says to those that
// are measured on.
import { PairedStatistics, fastestPrecision } from "../../calibrate/paired-statistics.js";
import { middleOf } from "../../evaluate/baseline-record.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { Model } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { physicalCores } from "../../native/cores.js";
import { loadEngine } from "../../native/engine.js";
import type { JobContext } from "../../native/isolate.js";
import type { Effort } from "../../passes/quantize/round/problem.js";
import { RoundingPool } from "../../passes/quantize/round/rounding-pool.js";
import { type CalibrationWindows, dealWindows, spread } from "./calibration-windows.js";
import { EFFORTS, substitutionsOf } from "./effort.js";
import { measureTensors } from "./measure-tensors.js";
import type { Measurements } from "./measurement-schema.js";
import { WeightLab } from "./weight-lab.js";

/** What is calibrated, and on what. */
export interface BenchSetup {
  input: string;
  texts: string[];
  /** Tokens per window; absent: 512, or what the model was trained on. */
  contextLength?: number | undefined;
  parseSpecial: boolean;
  effort: Effort;
  threads?: number | undefined;
}

export interface Bench {
  model: Model;
  lab: WeightLab;
  windows: CalibrationWindows;
  /** Token of a window from which on it is measured. */
  firstScored: number;
  threads: number;
  /** What every step takes. */
  shared: Pick<
    Parameters<typeof measureTensors>[0],
    "lab" | "pool" | "windows" | "contextLength" | "sumsBytes" | "onProgress" | "breathe"
  > & { measurementWindows: number };
}

/** Memory for the sums of one group of layers; a wide model's take more, see `sumsBudget`. */
const SUMS_BYTES = 400 * 2 ** 20;
/** Tokens at a window's start on which nothing is measured: without what goes before, they say little of a model. */
const UNSCORED_TOKENS = 32;

/** Opens all of it for as long as the work takes. */
export async function withBench<T>(
  setup: BenchSetup,
  context: JobContext,
  work: (bench: Bench) => Promise<T>,
): Promise<T> {
  const engine = loadEngine();
  const threads = setup.threads ?? physicalCores();
  await using model = await openModel(setup.input);
  using lab = await WeightLab.open(engine, setup.input, { threads });
  const windows = dealWindows(lab.model, setup.texts, EFFORTS[setup.effort], setup);
  const { contextLength, measurement, measurementWindows } = windows;
  const firstScored = Math.min(UNSCORED_TOKENS, middleOf(contextLength));
  lab.measureBaseline({ tokens: measurement, contextLength, firstScored });
  await using pool = new RoundingPool(threads);
  const shared = {
    lab,
    pool,
    windows: windows.statistics,
    contextLength,
    measurementWindows,
    sumsBytes: SUMS_BYTES,
    onProgress: context.progress,
    breathe: context.flush,
  };
  return await work({ model, lab, windows, firstScored, threads, shared });
}

/** What types are chosen from: what each rounding of each tensor does. */
export function measureTypes(
  { lab, threads, shared }: Bench,
  effort: Effort,
  types: ReadonlyMap<string, readonly GgmlType[]>,
): Promise<Measurements["tensors"]> {
  const { sampleRows, surveyTokens } = EFFORTS[effort];
  const substitutions = substitutionsOf(EFFORTS[effort], lab.model.parameters);
  const windows = spread(shared.windows, Math.max(1, Math.floor(surveyTokens / shared.contextLength)));
  const { model: original, engine } = lab;
  const precision = fastestPrecision(engine);
  const statistics = new PairedStatistics({ original, threads, contextLength: shared.contextLength, precision });
  const plan = { sampleRows, substitutions, probeWindows: probeWindowsOf(effort, shared), effort: "default" } as const;
  return measureTensors({ ...shared, ...plan, windows, statistics, types });
}

/** Windows that a substitution is measured on. */
export function probeWindowsOf(
  effort: Effort,
  { measurementWindows, contextLength }: Pick<CalibrationWindows, "measurementWindows" | "contextLength">,
): number {
  return Math.min(measurementWindows, Math.max(1, Math.floor(EFFORTS[effort].probeTokens / contextLength)));
}
