// The last of a calibrated quantization: the rounded mix as the file that it is to be, in memory. What can still be fitted is
// fitted there – the output norm's gain, and on request by training all that a type leaves free – and what it is worth is
// measured on windows that nothing was learned from.
import { fastestPrecision } from "../../calibrate/paired-statistics.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { llamaShape } from "../../graph/llama.js";
import type { Model } from "../../model/model.js";
import { physicalCores } from "../../native/cores.js";
import { CpuBackend } from "../../native/matmul.js";
import { ThreadPool } from "../../native/thread-pool.js";
import { type Recovery, recover, windowsToLearn } from "../../passes/quantize/recover/recover.js";
import type { OnProgress } from "../../support/progress.js";
import type { Divergence } from "./divergence-meter.js";
import type { RealModel } from "./real-model.js";
import { OUTPUT_NORM, recoverOutputGain } from "./recover-output-gain.js";
import type { RoundedTensors } from "./rounded-tensors.js";
import type { WeightLab } from "./weight-lab.js";
import { withWrittenWindows } from "./write-windows.js";

export interface FinishRequest {
  lab: WeightLab;
  model: Model;
  /** Of the tensors that were rounded. */
  types: ReadonlyMap<string, GgmlType>;
  /** Their bytes; what is fitted again joins them. */
  rounded: RoundedTensors;
  fitsGain: boolean;
  /** Training after it; absent: none. */
  training?:
    | { windows: readonly Int32Array[]; firstScored: number; steps: number; threads?: number | undefined }
    | undefined;
  onProgress: OnProgress;
  breathe: () => Promise<void>;
}

export interface Finish {
  divergence: Omit<Divergence, "windowMeans" | "seconds">;
  recovery?: Omit<Recovery, "bytes">;
}

/** Measures the file that is to be, in place of the lab's model. @throws {ResourceError} when training has no room */
export async function finishMix(request: FinishRequest): Promise<Finish> {
  const { lab, types, rounded, fitsGain } = request;
  lab.releaseModel();
  using real = lab.realModel({ types, bytes: (name) => rounded.get(name)! });
  const fitted = fitsGain ? recoverOutputGain(lab, real) : { divergence: real.divergence() };
  if ("bytes" in fitted && fitted.bytes) await rounded.set(OUTPUT_NORM, fitted.bytes);
  if (!request.training) return { divergence: told(fitted.divergence) };
  const { bytes: changes, ...recovery } = await train(request, real);
  if (changes.size === 0) return { divergence: told(fitted.divergence), recovery };
  for (const [name, change] of changes) {
    await rounded.set(name, change);
    real.replace(name, change);
  }
  return { divergence: told(real.divergence()), recovery };
}

async function train(request: FinishRequest, real: RealModel): Promise<Recovery> {
  const { lab, model, types, rounded, onProgress, breathe } = request;
  const { windows, firstScored, steps, threads = physicalCores() } = request.training!;
  const learned = await withWrittenWindows({
    engine: lab.engine,
    path: lab.source.path,
    windows,
    given: firstScored,
    count: windowsToLearn(windows[0]!.length, steps),
    threads,
    onProgress,
    breathe,
  });
  using threadPool = ThreadPool.create(lab.engine, threads);
  using backend = CpuBackend.create(lab.engine, threads, threadPool);
  const measure = (changes: ReadonlyMap<string, Uint8Array>): number => {
    for (const [name, change] of changes) real.replace(name, change);
    return real.divergence().mean;
  };
  return await recover({
    backend,
    shape: llamaShape(model),
    original: model,
    types,
    bytes: rounded,
    originalValues: (name) => lab.originalValues(name),
    windows: learned,
    firstScored,
    steps,
    products: fastestPrecision(lab.engine),
    measure,
    onProgress,
    breathe,
  });
}

function told({ windowMeans: _means, seconds: _seconds, ...divergence }: Divergence): Finish["divergence"] {
  return divergence;
}
