// Second moments of what enters linear layers, of one model or of two side by side, for as many layers at a time as memory
// is given for. With one model: H = Σ x xᵀ. With a candidate (the original partly rounded), as asymmetric calibration needs
// them (Li et al., 2025, arXiv:2504.02692, equation 4): x̂ is the candidate's input of a token, x the original's, and
//   H = Σ x̂ x̂ᵀ    C = Σ x x̂ᵀ    so that W C H⁻¹ minimises Σ ‖W x − Q x̂‖² over Q.
//
// Each batch of tokens runs through the original, whose wanted inputs are kept, then through the candidate, whose graph forms
// the products. Both graphs end at the last wanted input, so early layers are cheap.
//
// Experts: a token's rows are paired where both models send it to the expert. Where only the candidate does, the row stands
// for itself (x = x̂): for it the expert has no other aim than to answer as before. Where only the original does, the
// rounded expert will never see the token, and it is left out.
import type { LlamaModel } from "../native/llama-model.js";
import type { Engine } from "../native/engine.js";
import { ThreadPool } from "../native/thread-pool.js";
import type { RunOptions } from "../support/progress.js";
import { type DistinctInput, SILENT, findInputs, inputsOf } from "./distinct-inputs.js";
import type { ProductPrecision } from "./hessian-products.js";
import { type CollectedStatistics, PairedSums } from "./paired-sums.js";
import { runShape, runWindows } from "./run-windows.js";
import { batchTokensMax, productRows } from "./statistics-memory.js";

export type { ProductPrecision } from "./hessian-products.js";
export type { CollectedStatistics, InputStatistics } from "./paired-sums.js";

export interface PairedStatisticsOptions {
  original: LlamaModel;
  /** The same architecture with other weights. Without it there is no C. */
  candidate?: LlamaModel | undefined;
  threads: number;
  /** Tokens of every window. */
  contextLength: number;
  /** What products are computed in; f32 by default, see also `fastestPrecision`. */
  precision?: ProductPrecision;
}

/** Collects statistics of chosen weights' inputs. Runs in a child process: native calls block, and llama.cpp may abort. */
export class PairedStatistics {
  readonly #options: PairedStatisticsOptions;
  #inputs: Promise<readonly DistinctInput[]> | undefined;

  constructor(options: PairedStatisticsOptions) {
    this.#options = options;
  }

  /** All inputs of the model's linear layers; `cutIntoGroups` divides them among several collections. */
  inputs(): Promise<readonly DistinctInput[]> {
    return (this.#inputs ??= findInputs(this.#options.original, this.#options.threads));
  }

  /**
   * Runs windows through the model or both and adds up what enters the named weights.
   *
   * @param windows tokens, `contextLength` each
   * @param weights names such as `blk.0.attn_q.weight`; `output.weight`, or `token_embd.weight` where that is the output matrix
   * @throws {RangeError} when a window has another length
   * @throws {PareError} when the model multiplies by no weight of a name
   * @throws {EngineError} naming the weight when an activation is NaN or infinite
   * @throws {ResourceError} when memory can't hold the sums
   * @example
   * using found = await statistics.collect(windows, ["blk.0.attn_q.weight"]);
   * const { hessian, counts } = found.of("blk.0.attn_q.weight")!;
   */
  async collect(
    windows: readonly Int32Array[],
    weights: Iterable<string>,
    options: RunOptions = {},
  ): Promise<CollectedStatistics> {
    const { original, candidate, threads, contextLength, precision = "f32" } = this.#options;
    requireWindows(windows, contextLength);
    const all = await this.inputs();
    const inputs = inputsOf(all, weights);
    const last = Math.max(...all.map(({ layer }) => layer ?? -1));
    const models = candidate ? [original, candidate] : [original];
    const limits = {
      needsOutputs: inputs.some(({ layer }) => layer === undefined || layer === last),
      batchTokensMax: batchTokensMax(inputs, { isPaired: models.length > 1 }),
    };
    using threadPool = ThreadPool.create(original.engine, threads);
    const rows = productRows(runShape(models, windows, limits).batchTokens);
    const sums = new PairedSums(inputs, models, { threads, threadPool, rows, precision });
    try {
      const context = { progress: options.onProgress ?? SILENT.progress, flush: () => breathe(options.signal) };
      await runWindows({
        models: sums.watched,
        windows,
        threads,
        threadPool,
        context,
        stage: "measuring inputs",
        ...limits,
      });
      return sums.finish();
    } catch (error) {
      sums[Symbol.dispose]();
      throw error;
    }
  }
}

/** bf16 where the processor multiplies it; elsewhere ggml's products of it take as long as those of f32, or longer. */
export function fastestPrecision({ systemInfo }: Engine): ProductPrecision {
  return systemInfo.includes("AVX512_BF16 = 1") ? "bf16" : "f32";
}

function requireWindows(windows: readonly Int32Array[], contextLength: number): void {
  if (windows.length === 0) throw new RangeError("Cannot measure inputs: there is no window of tokens");
  const other = windows.find(({ length }) => length !== contextLength);
  if (!other) return;
  throw new RangeError(`Cannot measure inputs: a window has ${other.length} tokens, wanted are ${contextLength}`);
}

/** Lets messages out and an abort in. */
async function breathe(signal: AbortSignal | undefined): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal?.throwIfAborted();
}
