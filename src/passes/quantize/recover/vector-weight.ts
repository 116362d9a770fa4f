// Norms and biases, which stay f32.
import { Factors, type LearnedWeight, type RecoveryRates } from "./learned-weight.js";

export class VectorWeight implements LearnedWeight {
  readonly #values: Float32Array;
  readonly #factors: Factors;

  constructor(values: Float32Array) {
    this.#values = values.slice();
    this.#factors = new Factors(this.#values);
  }

  get factors(): number {
    return this.#values.length;
  }

  update(gradient: Float32Array, step: number, rates: RecoveryRates): Uint8Array {
    this.#factors.move(gradient, step, rates.scale);
    return new Uint8Array(this.#values.buffer);
  }
}
