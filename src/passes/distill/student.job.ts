// The student's first weights, where it is cut from its teacher: written to a file, from which every run begins alike.
import { physicalCores } from "../../native/cores.js";
import { loadEngine } from "../../native/engine.js";
import type { JobContext } from "../../native/isolate.js";
import { CpuBackend } from "../../native/matmul.js";
import { type LlamaShape, llamaShape } from "../../graph/llama.js";
import type { Model } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { saveModel } from "../../model/save.js";
import { LayerMeter, type LayerChoice, chooseLayers, shapeWith, withLayers } from "./cut-layers.js";
import { type Widths, narrowed } from "./narrow.js";
import { processorSeconds } from "./processor-seconds.js";
import { TaughtText } from "./taught-text.js";

export interface StudentInput {
  teacher: string;
  /** Layers to keep; all by default. */
  layers?: number | undefined;
  /** What of its widths to keep. */
  narrow?: Widths | undefined;
  /** Taught text to measure on. */
  text: string;
  output: string;
  threads?: number | undefined;
}

export interface StudentOutput {
  /** The teacher's that it keeps. */
  layers: number[];
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
  const shape = llamaShape(teacher);
  const all = Array.from({ length: shape.layers }, (_, layer) => layer);
  const { best: chosen, tried } =
    input.layers === undefined
      ? { best: { layers: all, loss: NaN }, tried: [] }
      : await chosenLayers(input, teacher, shape, context);
  const cut = withLayers(teacher, chosen.layers);
  const student = input.narrow ? await narrowed(engine, cut, shapeWith(shape, chosen.layers), input.narrow) : cut;
  await saveModel(student, input.output);
  const seconds = (performance.now() - started) / 1000;
  return { layers: chosen.layers, tried, seconds, processorSeconds: processorSeconds() };
}

async function chosenLayers(
  { text: path, layers, threads }: StudentInput,
  teacher: Model,
  shape: LlamaShape,
  context: JobContext,
) {
  using text = await TaughtText.open(path);
  using backend = CpuBackend.create(loadEngine(), threads ?? physicalCores());
  const sequences = text.sequences().slice(0, Math.max(1, Math.floor(MEASURED_TOKENS / text.facts.length)));
  using meter = await LayerMeter.create(backend, teacher, shape, sequences);
  let done = 0;
  return chooseLayers(shape.layers, layers!, (choice) => {
    context.progress({ stage: "choosing layers", done: done++, unit: "choices", detail: choice.join(", ") });
    return meter.lossOf(choice);
  });
}
