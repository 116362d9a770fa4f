// The sums behind `paired-statistics.ts` while the models run, and what they come to.
import { EngineError } from "../errors.js";
import type { LlamaModel } from "../native/llama-model.js";
import { CpuBackend } from "../native/matmul.js";
import type { ThreadPool } from "../native/thread-pool.js";
import type { DistinctInput } from "./distinct-inputs.js";
import type { GroupSum, ProductPrecision, Rows } from "./hessian-products.js";
import { HessianSums } from "./hessian-sums.js";
import { InputWatcher, KeptInputs, type SeenInput, counterparts } from "./input-watcher.js";
import { unsoundInput } from "./product-inputs.js";
import type { WatchedModel } from "./run-windows.js";

/** Sums over the tokens of all windows for one input. Matrices lie one after the other. */
export interface InputStatistics extends DistinctInput {
  /** H = Σ x̂ x̂ᵀ, symmetric, [columns × columns × matrices]; without a candidate Σ x xᵀ. */
  readonly hessian: Float32Array;
  /** C = Σ x x̂ᵀ, element (i, j) at i · columns + j: i of the original, j of the candidate. Absent without one. */
  readonly cross: Float32Array | undefined;
  /** Σ x̂, [columns × matrices]. */
  readonly inputSums: Float64Array;
  /** Σ x over the same rows; absent without a candidate. */
  readonly originalSums: Float64Array | undefined;
  /** Rows in each matrix's sums. */
  readonly counts: Float64Array;
  /** Those of them that both models have; less than `counts` only where they route differently. */
  readonly pairedCounts: Float64Array;
}

/** What `collect` found, in native memory: valid until disposed of. */
export class CollectedStatistics implements Disposable {
  /** In the order in which the model computes them. */
  readonly inputs: readonly InputStatistics[];
  readonly #memory: Disposable;

  /** @param memory what the statistics lie in, owned from now on */
  constructor(inputs: readonly InputStatistics[], memory: Disposable) {
    this.inputs = inputs;
    this.#memory = memory;
  }

  /** Statistics of what a weight reads. */
  of(weight: string): InputStatistics | undefined {
    return this.inputs.find(({ weights }) => weights.includes(weight));
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}

export interface PairedSumsOptions {
  threads: number;
  /** The threads that the models compute with. */
  threadPool: ThreadPool | undefined;
  /** Rows of one product. */
  rows: number;
  precision?: ProductPrecision;
}

/** Sums that grow while the models run: each keeps what it sees for the last, whose graph forms the products. */
export class PairedSums implements Disposable {
  readonly watched: readonly WatchedModel[];
  readonly #inputs: readonly DistinctInput[];
  readonly #paths: readonly string[];
  readonly #backend: CpuBackend;
  readonly #sums: HessianSums;
  readonly #counts = new Map<DistinctInput, { all: Float64Array; paired: Float64Array }>();

  /**
   * @param models the original, and a candidate if there is one
   */
  constructor(
    inputs: readonly DistinctInput[],
    models: readonly LlamaModel[],
    { threads, threadPool, rows, precision = "f32" }: PairedSumsOptions,
  ) {
    const [original, candidate] = models;
    this.#inputs = inputs;
    this.#paths = models.map(({ path }) => path);
    this.#backend = CpuBackend.create(original!.engine, threads, threadPool);
    this.#sums = new HessianSums(this.#backend, rows, { isPaired: candidate !== undefined, precision });
    for (const input of inputs) {
      this.#counts.set(input, { all: new Float64Array(input.matrices), paired: new Float64Array(input.matrices) });
    }
    if (candidate) {
      const kept = new KeptInputs();
      const keep = new InputWatcher(inputs, (input, seen) => kept.keep(input, seen));
      const add = new InputWatcher(inputs, (input, seen) => this.#add(input, seen, kept.take(input)));
      this.watched = [
        { model: original!, observer: keep },
        { model: candidate, observer: add },
      ];
    } else {
      this.watched = [
        { model: original!, observer: new InputWatcher(inputs, (input, seen) => this.#add(input, seen)) },
      ];
    }
  }

  /**
   * The sums of all inputs; they are the result's from now on.
   *
   * @throws {EngineError} when an input's squares are beyond what a float holds
   */
  finish(): CollectedStatistics {
    const found = this.#inputs.map((input) => this.#statistics(input));
    this.#sums.finish();
    this.#backend[Symbol.dispose]();
    return new CollectedStatistics(found, this.#sums);
  }

  [Symbol.dispose](): void {
    this.#sums[Symbol.dispose]();
    this.#backend[Symbol.dispose]();
  }

  #add(input: DistinctInput, { values, rows }: SeenInput, original?: SeenInput): void {
    const counts = this.#counts.get(input)!;
    for (const [matrix, own] of rows) {
      const other: Rows | undefined = original && counterparts(input, matrix, own, original);
      this.#sums.add({ group: input, matrix, values, offsets: own.offsets }, other);
      counts.all[matrix]! += own.offsets.length;
      counts.paired[matrix]! += other ? other.offsets.filter((offset) => offset >= 0).length : own.offsets.length;
    }
    this.#requireFinite(this.#sums.sumFor(input));
  }

  /** A NaN in one row is one in the column's sum. */
  #requireFinite({ shape, inputSums, originalSums }: GroupSum): void {
    for (const [sums, path] of [
      [originalSums, this.#paths[0]],
      [inputSums, this.#paths.at(-1)],
    ] as const) {
      const bad = sums?.findIndex((value) => !Number.isFinite(value)) ?? -1;
      if (bad >= 0) throw unsoundInput(shape.name, "is NaN or infinite", bad % shape.columns, path);
    }
  }

  #statistics(input: DistinctInput): InputStatistics {
    const sum = this.#sums.sumFor(input);
    const { columns, matrices, name } = input;
    const hessian = sum.hessian();
    for (let at = 0; at < columns * matrices; at++) {
      const diagonal = Math.floor(at / columns) * columns ** 2 + (at % columns) * (columns + 1);
      if (!Number.isFinite(hessian[diagonal])) {
        throw unsoundInput(name, "has squares beyond what a float holds", at % columns, this.#paths.at(-1));
      }
    }
    const { all, paired } = this.#counts.get(input)!;
    if (all.every((count) => count === 0)) {
      throw new EngineError(
        `Cannot measure what enters "${name}": the graph of "${this.#paths.at(-1)}" has no such input`,
      );
    }
    const { inputSums, originalSums } = sum;
    return { ...input, hessian, cross: sum.cross(), inputSums, originalSums, counts: all, pairedCounts: paired };
  }
}
