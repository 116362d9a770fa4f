// A whole mix in the lab's model, rounded in haste by ggml's own encoders with the text's mean squares: how mixes compare is
// measured on it before any is rounded with care. Only tensors whose type changes are rounded again.
import { InputCollector, OUTPUT_WEIGHT, TIED_OUTPUT_WEIGHT } from "../../calibrate/input-collector.js";
import { type ImportanceEntry, meanSquares } from "../../calibrate/importance.js";
import { SILENT } from "../../calibrate/distinct-inputs.js";
import { CalibrationObserver, runWindows } from "../../calibrate/run-windows.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { isImportanceRequired, quantizeRowsAsync } from "../../native/ggml.js";
import type { TensorTypes } from "./improve-mix.js";
import type { WeightLab } from "./weight-lab.js";

export interface TrialMixOptions {
  lab: WeightLab;
  /** Whose inputs say how much columns count. */
  windows: readonly Int32Array[];
  threads: number;
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
    await runWindows({ models: [{ model: lab.model, observer }], windows, threads, context: SILENT });
    const squares = new Map<string, Float32Array>();
    for (const { weights, sums, counts, columns, matrices } of collector.groups.values()) {
      const entry: ImportanceEntry = {
        sums: Float32Array.from(sums),
        counts: Float32Array.from(counts),
        columns,
        matrices,
      };
      for (const name of weights) squares.set(name, meanSquares(entry));
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
    const rounded = await Promise.all(
      parts.map(({ start, end, matrix }) =>
        quantizeRowsAsync(
          lab.engine,
          type,
          values.subarray(start * columns, end * columns),
          columns,
          squares?.subarray(matrix * columns, (matrix + 1) * columns),
        ),
      ),
    );
    lab.substituteBytes(name, type, Buffer.concat(rounded));
  }
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
