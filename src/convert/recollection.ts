// A GGUF model's numbers on their way back into a config.json: `Hyperparameters`, read the other way.
import { FormatError } from "../errors.js";
import type { Model } from "../model/model.js";

/** What a family's `restore` reads. */
export class Recollection {
  constructor(
    readonly model: Pick<Model, "metadata" | "tensors" | "path">,
    /** Tensors that stand for a part of the configuration, such as `rope_freqs.weight`. */
    readonly vectors: ReadonlyMap<string, Float32Array>,
  ) {}

  get path(): string {
    return this.model.path ?? "model";
  }

  get architecture(): string {
    return this.model.metadata.string("general.architecture") ?? "";
  }

  /** @throws {FormatError} when it is absent */
  count(key: string): number {
    const value = this.optionalCount(key);
    if (value !== undefined) return value;
    throw new FormatError(this.path, `Cannot read "${this.path}": ${this.architecture}.${key} is absent`);
  }

  optionalCount(key: string): number | undefined {
    return this.model.metadata.number(`${this.architecture}.${key}`);
  }

  /** A number of single precision in as few digits as tell it apart: 1e-5, not 0.000009999999747. */
  number(key: string): number | undefined {
    const value = this.optionalCount(key);
    return value === undefined ? undefined : shortest(value);
  }

  text(key: string): string | undefined {
    return this.model.metadata.string(`${this.architecture}.${key}`);
  }

  has(tensor: string): boolean {
    return this.model.tensors.has(tensor);
  }
}

function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return rounded;
  }
  return value;
}
