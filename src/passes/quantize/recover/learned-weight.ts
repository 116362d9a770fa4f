// What a trained recovery can change of a tensor without leaving its type: what there is to learn, one step of it, and the
// bytes that the file would have.

/** A tensor that learns. */
export interface LearnedWeight {
  /** Scales, offsets and values that learn by a factor. */
  readonly factors: number;
  /**
   * Takes one step.
   *
   * @param gradient ∂loss / ∂value of each weight, as it lies in the tensor
   * @param step from 1 on
   * @returns its bytes from now on
   */
  update(gradient: Float32Array, step: number, rates: RecoveryRates): Uint8Array;
}

/** How far the largest step goes. */
export interface RecoveryRates {
  /** Of a weight, in distances between neighbouring levels. */
  code: number;
  /** Of scales, offsets and norms, as a share of their size. */
  scale: number;
}

const BETA1 = 0.9;
const BETA2 = 0.95;
/** Gradients below it are noise of single precision. */
const EPSILON = 1e-15;

/** The means that Adam keeps (Kingma and Ba, 2014, arXiv:1412.6980): the direction of a step, each element at most about 1. */
export class Adam {
  readonly #mean: Float32Array;
  readonly #square: Float32Array;
  #correction = { mean: 1, square: 1 };

  constructor(count: number) {
    this.#mean = new Float32Array(count);
    this.#square = new Float32Array(count);
  }

  /** @param step from 1 on; said once before the directions of a step are asked for */
  begin(step: number): void {
    this.#correction = { mean: 1 / (1 - BETA1 ** step), square: 1 / (1 - BETA2 ** step) };
  }

  direction(i: number, gradient: number): number {
    const mean = (this.#mean[i] = BETA1 * this.#mean[i]! + (1 - BETA1) * gradient);
    const square = (this.#square[i] = BETA2 * this.#square[i]! + (1 - BETA2) * gradient * gradient);
    return (mean * this.#correction.mean) / (Math.sqrt(square * this.#correction.square) + EPSILON);
  }
}

/**
 * Numbers that learn by a factor each, so that a step is a share of their own size: where activations are large a norm's
 * weights are small, and what is little beside the others is much there.
 */
export class Factors {
  readonly #values: Float32Array;
  readonly #round: (value: number) => number;
  readonly #starts: Float64Array;
  readonly #logarithms: Float64Array;
  readonly #adam: Adam;

  /**
   * @param values replaced by what is learned
   * @param round to what can be stored
   */
  constructor(values: Float32Array, round: (value: number) => number = (value) => value) {
    this.#values = values;
    this.#round = round;
    this.#starts = Float64Array.from(values);
    this.#logarithms = new Float64Array(values.length);
    this.#adam = new Adam(values.length);
  }

  /** @param gradients ∂loss / ∂value */
  move(gradients: ArrayLike<number>, step: number, rate: number): void {
    this.#adam.begin(step);
    for (let i = 0; i < gradients.length; i++) {
      // ∂loss / ∂ln value, of which only the sign and the evenness count
      this.#logarithms[i]! -= rate * this.#adam.direction(i, gradients[i]! * this.#values[i]!);
      this.#values[i] = this.#round(this.#starts[i]! * Math.exp(this.#logarithms[i]!));
    }
  }
}
