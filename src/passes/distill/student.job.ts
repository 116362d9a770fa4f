// The student's first weights, where it is cut from its teacher: written to a file, from which every run begins alike.
import { physicalCores } from "../../native/cores.js";
import { loadEngine } from "../../native/engine.js";
import type { JobContext } from "../../native/isolate.js";
import { CpuBackend } from "../../native/matmul.js";
import { llamaShape } from "../../graph/llama.js";
import { openModel } from "../../model/open.js";
import { saveModel } from "../../model/save.js";
import { LayerMeter, type LayerChoice, chooseLayers, requireLayers, withLayers } from "./cut-layers.js";
import { processorSeconds } from "./processor-seconds.js";
import { TaughtText } from "./taught-text.js";

export interface StudentInput {
  teacher: string;
  /** Layers to keep. */
  layers: number;
  /** Taught text to measure on. */
  text: string;
  output: string;
  threads?: number | undefined;
}

export interface StudentOutput {
  chosen: LayerChoice;
  /** Every choice that was measured. */
  tried: LayerChoice[];
  seconds: number;
  processorSeconds: number;
}

/** Differences between choices are tenths of nats: a few thousand tokens tell them apart. */
const MEASURED_TOKENS = 2048;

/** Runs in a child process. */
export async function run(input: StudentInput, context: JobContext): Promise<StudentOutput> {
  const started = performance.now();
  const engine = loadEngine();
  await using teacher = await openModel(input.teacher);
  using text = await TaughtText.open(input.text);
  const shape = llamaShape(teacher);
  requireLayers(input.layers, shape);
  using backend = CpuBackend.create(engine, input.threads ?? physicalCores());
  const sequences = text.sequences().slice(0, Math.max(1, Math.floor(MEASURED_TOKENS / text.facts.length)));
  using meter = await LayerMeter.create(backend, teacher, shape, sequences);
  let done = 0;
  const { best: chosen, tried } = chooseLayers(shape.layers, input.layers, (layers) => {
    context.progress({ stage: "choosing layers", done: done++, unit: "choices", detail: layers.join(", ") });
    return meter.lossOf(layers);
  });
  await saveModel(withLayers(teacher, chosen.layers), input.output);
  const seconds = (performance.now() - started) / 1000;
  return { chosen, tried, seconds, processorSeconds: processorSeconds() };
}
