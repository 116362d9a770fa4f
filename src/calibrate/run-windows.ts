// Sends windows of tokens through a model while an observer watches the graph.
import type { JobContext } from "../native/isolate.js";
import { LlamaContext } from "../native/llama-context.js";
import type { LlamaModel } from "../native/llama-model.js";
import type { Observer, TensorView } from "../native/observe.js";
import type { TokenBatch } from "../native/token-batch.js";
import type { InputCollector } from "./input-collector.js";
import type { SimilarityCollector } from "./similarity.js";
import { batchShape } from "./windows.js";

export interface WindowRun {
  model: LlamaModel;
  /** All of one length. */
  windows: readonly Int32Array[];
  threads: number;
  observer: Observer;
  context: JobContext;
}

/** Several windows go through side by side; one longer than a call goes through in several calls. */
export async function runWindows({ model, windows, threads, observer, context }: WindowRun): Promise<void> {
  const contextLength = windows[0]!.length;
  const { sequences, batchTokens } = batchShape(contextLength, model.vocabularySize, windows.length);
  using llama = LlamaContext.create(model, {
    contextLength: sequences * contextLength,
    sequencesMax: sequences,
    batchSize: batchTokens,
    microBatchSize: batchTokens,
    threads,
    observer,
  });
  const batch = llama.newBatch();
  const total = windows.length * contextLength;
  for (let first = 0; first < windows.length; first += sequences) {
    const side = windows.slice(first, first + sequences);
    llama.clearMemory();
    for (let start = 0; start < contextLength; start += batchTokens) {
      const end = Math.min(contextLength, start + batchTokens);
      fillBatch(batch, side, start, end);
      llama.decode(batch);
      context.progress({
        stage: "calibrating",
        done: first * contextLength + side.length * end,
        total,
        unit: "tokens",
      });
      await context.flush();
    }
  }
}

/** Every token asks for logits: otherwise llama.cpp drops the other rows before the last layer's feed-forward part. */
function fillBatch(batch: TokenBatch, windows: readonly Int32Array[], start: number, end: number): void {
  batch.clear();
  windows.forEach((window, sequence) => {
    for (let position = start; position < end; position++) batch.add(window[position]!, position, sequence, true);
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

function isProduct({ op }: TensorView): boolean {
  return op === "MUL_MAT" || op === "MUL_MAT_ID";
}
