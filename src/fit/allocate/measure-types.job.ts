// The child's side of `measureForSizes`: what each rounding of each tensor does, and nothing written.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { JobContext } from "../../native/isolate.js";
import { type BenchSetup, measureTypes, probeWindowsOf, withBench } from "./calibration-bench.js";
import type { Measurements } from "./measurement-schema.js";

export interface MeasureTypesInput extends BenchSetup {
  /** The types that are open to each tensor. */
  types: [name: string, types: GgmlType[]][];
}

export interface MeasureTypesOutput {
  tensors: Measurements["tensors"];
  contextLength: number;
  /** Windows of text whose inputs are looked at. */
  textWindows: number;
  /** Windows that substitutions are measured on. */
  probeWindows: number;
}

export function run(job: MeasureTypesInput, context: JobContext): Promise<MeasureTypesOutput> {
  return withBench(job, context, async (bench) => ({
    tensors: await measureTypes(bench, job.effort, new Map(job.types)),
    contextLength: bench.windows.contextLength,
    textWindows: bench.windows.statistics.length,
    probeWindows: probeWindowsOf(job.effort, bench.windows),
  }));
}
