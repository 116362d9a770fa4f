// A whole mix in the lab's model, rounded in haste by ggml's own encoders with the text's mean squares: how mixes compare is
// measured on it before any is rounded with care. Only tensors whose type changes are rounded again.
import { InputCollector, type InputGroup, OUTPUT_WEIGHT, TIED_OUTPUT_WEIGHT } from "../../calibrate/input-collector.js";
import { importanceEntry, meanSquares } from "../../calibrate/importance.js";
import { CalibrationObserver, runWindows } from "../../calibrate/run-windows.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { isImportanceRequired, quantizeRowsAsync } from "../../native/ggml.js";
import type { OnProgress } from "../../support/progress.js";
import type { TensorTypes } from "./improve-mix.js";
import type { WeightLab } from "./weight-lab.js";

export interface TrialMixOptions {
  lab: WeightLab;
  /** Whose inputs say how much columns count. */
  windows: readonly Int32Array[];
  threads: number;
  onProgress: OnProgress;
  breathe: () => Promise<void>;
}

export class TrialMix {
  readonly #lab: WeightLab;
  readonly #threads: number;
  readonly #meanSquares: ReadonlyMap<string, Float32Array>;
  readonly #types = new Map<string, GgmlType>();

  private constructor({ lab, threads }: TrialMixOptions, squares: ReadonlyMap<string, Float32Array>) {
    this.#lab = lab;
    this.#threads = threads;
    this.#meanSquares = squares;
  }

  /** Looks at what enters the original's layers. */
  static async open(options: TrialMixOptions): Promise<TrialMix> {
    const collector = new InputCollector({ outputs: [OUTPUT_WEIGHT, TIED_OUTPUT_WEIGHT] });
    const observer = new CalibrationObserver(collector, { processOutput: true });
    const { lab, windows, threads } = options;
    const context = { progress: options.onProgress, flush: options.breathe };
    await runWindows({
      models: [{ model: lab.model, observer }],
      windows,
      threads,
      context,
      stage: "measuring inputs",
    });
    const squares = new Map<string, Float32Array>();
    for (const group of collector.groups.values()) {
      const means = meanSquaresOf(group);
      for (const name of group.weights) squares.set(name, means);
    }
    return new TrialMix(options, squares);
  }

  /** Mean divergence of each of the baseline's first windows with these types; tensors that are not named stay as they are. */
  async measure(types: TensorTypes, windows: number): Promise<Float64Array> {
    for (const [name, type] of types) {
      if ((this.#types.get(name) ?? this.#lab.source.tensor(name).type) === type) continue;
      await this.#round(name, type);
      this.#types.set(name, type);
    }
    return this.#lab.divergence({ windows }).windowMeans;
  }

  async #round(name: string, type: GgmlType): Promise<void> {
    const lab = this.#lab;
    if (lab.source.tensor(name).type === type) return lab.restore(name);
    const values = lab.originalValues(name);
    const columns = lab.source.tensor(name).shape[0]!;
    const squares = this.#meanSquares.get(name) ?? plainSquares(lab, type, columns);
    const parts = partsOf(values.length / columns, (squares?.length ?? columns) / columns, this.#threads);
    const rounded: Uint8Array[] = [];
    for (let first = 0; first < parts.length; first += this.#threads) {
      const atOnce = parts.slice(first, first + this.#threads).map(({ start, end, matrix }) => {
        const importance = squares?.subarray(matrix * columns, (matrix + 1) * columns);
        return quantizeRowsAsync(
          lab.engine,
          type,
          values.subarray(start * columns, end * columns),
          columns,
          importance,
        );
      });
      rounded.push(...(await Promise.all(atOnce)));
    }
    lab.substituteBytes(name, type, Buffer.concat(rounded));
  }
}

/** Mean squares of all matrices, one after the other: heads that no router picks from share one count, experts have one each. */
export function meanSquaresOf({ sums, counts }: Pick<InputGroup, "sums" | "counts">): Float32Array {
  return meanSquares(importanceEntry(Float32Array.from(sums), Float32Array.from(counts)));
}

/** For rows that nothing is known of: only where ggml asks for something. */
function plainSquares(lab: WeightLab, type: GgmlType, columns: number): Float32Array | undefined {
  return isImportanceRequired(lab.engine, type) ? new Float32Array(columns).fill(1) : undefined;
}

/** Rows from and to for each thread, none across two matrices with mean squares of their own. */
function partsOf(rows: number, matrices: number, threads: number): { start: number; end: number; matrix: number }[] {
  const perMatrix = rows / matrices;
  const step = Math.ceil(perMatrix / (matrices === 1 ? threads : 1));
  return Array.from({ length: matrices }, (_, matrix) => matrix * perMatrix).flatMap((first, matrix) =>
    Array.from({ length: Math.ceil(perMatrix / step) }, (_, i) => ({
      start: first + i * step,
      end: Math.min(first + perMatrix, first + (i + 1) * step),
      matrix,
    })),
  );
}
