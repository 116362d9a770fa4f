// Sends windows of tokens through a model while an observer watches the graph.
import type { JobContext } from "../native/isolate.js";
import { LlamaContext } from "../native/llama-context.js";
import type { LlamaModel } from "../native/llama-model.js";
import type { Observer, TensorView } from "../native/observe.js";
import type { ThreadPool } from "../native/thread-pool.js";
import { TokenBatch } from "../native/token-batch.js";
import type { InputCollector } from "./input-collector.js";
import { isProduct } from "./product-inputs.js";
import type { SimilarityCollector } from "./similarity.js";
import { type BatchShape, batchShape } from "./windows.js";

/** A model and who watches its graph. */
export interface WatchedModel {
  model: LlamaModel;
  observer: Observer;
}

export interface WindowRun extends RunLimits {
  /** Each batch goes through all of them, in this order. */
  models: readonly WatchedModel[];
  /** All of one length. */
  windows: readonly Int32Array[];
  threads: number;
  /** Threads shared with what observers compute; without it each model has its own. */
  threadPool?: ThreadPool | undefined;
  context: Pick<JobContext, "progress" | "flush">;
  /** What is being done, for who watches the progress. */
  stage?: string;
}

/** What bounds the tokens of one call. */
export interface RunLimits {
  /** False where nobody looks behind the last layer's attention, which saves memory for logits. */
  needsOutputs?: boolean;
  /** Most tokens in one call. */
  batchTokensMax?: number;
}

/** Several windows go through side by side; one longer than a call goes through in several calls. */
export async function runWindows(run: WindowRun): Promise<void> {
  const { models, windows, context, stage = "calibrating", needsOutputs = true } = run;
  const contextLength = windows[0]!.length;
  const shape = runShape(
    models.map(({ model }) => model),
    windows,
    run,
  );
  using contexts = new Contexts();
  for (const watched of models) contexts.all.push(openContext(watched, run, shape));
  const batch = new TokenBatch(shape.batchTokens);
  const total = windows.length * contextLength;
  for (let first = 0; first < windows.length; first += shape.sequences) {
    const side = windows.slice(first, first + shape.sequences);
    for (const llama of contexts.all) llama.clearMemory();
    for (let start = 0; start < contextLength; start += shape.batchTokens) {
      const end = Math.min(contextLength, start + shape.batchTokens);
      fillBatch(batch, side, start, end, needsOutputs);
      for (const llama of contexts.all) llama.decode(batch);
      context.progress({ stage, done: first * contextLength + side.length * end, total, unit: "tokens" });
      await context.flush();
    }
  }
}

/** How much one call takes. */
export function runShape(
  models: readonly LlamaModel[],
  windows: readonly Int32Array[],
  { needsOutputs = true, batchTokensMax }: RunLimits,
): BatchShape {
  const columns = needsOutputs ? models.reduce((sum, { vocabularySize }) => sum + vocabularySize, 0) : 0;
  const logitsColumns = columns * models.length; // with a second model's weights there is half the room
  return batchShape(windows[0]!.length, logitsColumns, windows.length, batchTokensMax);
}

function openContext({ model, observer }: WatchedModel, run: WindowRun, shape: BatchShape): LlamaContext {
  return LlamaContext.create(model, {
    contextLength: shape.sequences * run.windows[0]!.length,
    sequencesMax: shape.sequences,
    batchSize: shape.batchTokens,
    microBatchSize: shape.batchTokens,
    threads: run.threads,
    threadPool: run.threadPool,
    outputsMax: run.needsOutputs === false ? shape.sequences : 0,
    observer,
  });
}

class Contexts implements Disposable {
  readonly all: LlamaContext[] = [];

  [Symbol.dispose](): void {
    for (const llama of this.all) llama[Symbol.dispose]();
  }
}

/** Without logits asked for, llama.cpp drops a token's row before the last layer's feed-forward part. */
function fillBatch(
  batch: TokenBatch,
  windows: readonly Int32Array[],
  start: number,
  end: number,
  wantsLogits: boolean,
): void {
  batch.clear();
  windows.forEach((window, sequence) => {
    for (let position = start; position < end; position++)
      batch.add(window[position]!, position, sequence, wantsLogits);
  });
}

/** llama.cpp's name for what enters the output matrix. */
const LAST_NORM = "result_norm";

/** Passes each node to who wants it. The graph ends before the output matrix, the largest of a small model, unless asked for. */
export class CalibrationObserver implements Observer {
  readonly #inputs: InputCollector;
  readonly #similarity: SimilarityCollector | undefined;
  readonly #processOutput: boolean;

  constructor(inputs: InputCollector, options: { similarity?: SimilarityCollector; processOutput?: boolean } = {}) {
    this.#inputs = inputs;
    this.#similarity = options.similarity;
    this.#processOutput = options.processOutput ?? false;
  }

  wants(tensor: TensorView): boolean {
    if (isProduct(tensor)) return this.#inputs.wants(tensor);
    if (this.#similarity?.wants(tensor)) return true;
    return !this.#processOutput && tensor.name === LAST_NORM;
  }

  sees(tensor: TensorView): boolean {
    if (isProduct(tensor)) this.#inputs.sees(tensor);
    else if (this.#similarity?.wants(tensor)) this.#similarity.sees(tensor);
    else return false;
    return true;
  }
}
