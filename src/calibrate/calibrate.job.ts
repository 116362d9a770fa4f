// The child process's part of calibration: loads the model, runs the windows through it, watches, and returns statistics.
import { PareError } from "../errors.js";
import { physicalCores } from "../native/cores.js";
import { loadEngine } from "../native/engine.js";
import type { JobContext } from "../native/isolate.js";
import { LlamaModel } from "../native/llama-model.js";
import { ThreadPool } from "../native/thread-pool.js";
import { type HessianRequest, HessianRun } from "./hessian-run.js";
import { type ImportanceEntry, importanceEntry } from "./importance.js";
import { InputCollector, type InputGroup, OUTPUT_WEIGHT, TIED_OUTPUT_WEIGHT } from "./input-collector.js";
import { CalibrationObserver, runWindows } from "./run-windows.js";
import { type LayerSimilarity, SimilarityCollector } from "./similarity.js";
import { CONTEXT_LENGTH_DEFAULT, cutWindows } from "./windows.js";

/** What the child is asked to do. */
export interface CalibrationJobInput {
  model: string;
  texts: string[];
  contextLength?: number;
  chunks?: number;
  threads?: number;
  processOutput: boolean;
  parseSpecial: boolean;
  similarity: boolean;
  hessians?: HessianRequest;
}

/** What the child found. Layers that share an input share the entry's arrays. */
export interface CalibrationJobOutput {
  entries: Map<string, ImportanceEntry>;
  /** Weights whose matrices a router picks. */
  routed: string[];
  similarity?: LayerSimilarity[];
  hessianWeights: number;
  contextLength: number;
  contextLengthTrained: number;
  windows: number;
  tokens: number;
  /** From the first token to the last, without loading. */
  seconds: number;
}

/** Runs in a child process. */
export async function run(input: CalibrationJobInput, context: JobContext): Promise<CalibrationJobOutput> {
  using model = LlamaModel.load(loadEngine(), input.model);
  const contextLength = input.contextLength ?? Math.min(CONTEXT_LENGTH_DEFAULT, model.contextLengthTrained);
  const texts = input.texts.map((text) => model.tokenize(text, { addSpecial: true, parseSpecial: input.parseSpecial }));
  const { windows, tokensTotal } = cutWindows(texts, contextLength, {
    bos: model.addsBos ? model.bosToken : undefined,
    windowsMax: input.chunks,
  });
  const measured = await measure(input, model, windows, context);
  return {
    ...measured,
    contextLength,
    contextLengthTrained: model.contextLengthTrained,
    windows: windows.length,
    tokens: tokensTotal,
  };
}

async function measure(input: CalibrationJobInput, model: LlamaModel, windows: Int32Array[], context: JobContext) {
  const threads = input.threads ?? physicalCores();
  const { processOutput } = input;
  using threadPool = ThreadPool.create(model.engine, threads); // the Hessians' products run between the graph's nodes
  using hessians = input.hessians
    ? await HessianRun.prepare(input.hessians, { model, windows, threads, threadPool, processOutput })
    : undefined;
  const inputs = new InputCollector({
    outputs: processOutput ? [OUTPUT_WEIGHT, ...(hessians ? [TIED_OUTPUT_WEIGHT] : [])] : [],
    onRows: hessians && ((rows) => hessians.add(rows)),
  });
  const similarity = input.similarity ? new SimilarityCollector() : undefined;
  const observer = new CalibrationObserver(inputs, { similarity, processOutput });
  const started = performance.now();
  await runWindows({ models: [{ model, observer }], windows, threads, threadPool, context });
  const seconds = (performance.now() - started) / 1000;
  if (inputs.groups.size === 0) {
    throw new PareError(`Cannot calibrate "${model.path}": its graph multiplies by no weight named "blk.…"`);
  }
  return {
    ...entriesOf(inputs.groups.values()),
    similarity: similarity && similarityOf(similarity, model),
    hessianWeights: hessians ? await hessians.save(inputs.groups.values(), context) : 0,
    seconds,
  };
}

function entriesOf(groups: Iterable<InputGroup>): { entries: Map<string, ImportanceEntry>; routed: string[] } {
  const entries = new Map<string, ImportanceEntry>();
  const routed: string[] = [];
  for (const { weights, sums, counts, isRouted } of groups) {
    const entry = importanceEntry(Float32Array.from(sums), Float32Array.from(counts));
    // llama-imatrix keeps nothing of an output matrix that is the embedding, and its files are the measure.
    for (const weight of weights) if (weight !== TIED_OUTPUT_WEIGHT) entries.set(weight, entry);
    if (isRouted) routed.push(...weights);
  }
  return { entries, routed };
}

function similarityOf(collector: SimilarityCollector, model: LlamaModel): LayerSimilarity[] {
  const layers = collector.result();
  if (layers.length > 0) return layers;
  throw new PareError(`Cannot measure the similarity of layers: llama.cpp names no layer outputs for "${model.path}"`);
}
