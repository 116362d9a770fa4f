// What can be learned of types whose codes stand for several weights at once: the float16 scale of each block, by which all
// its values are multiplied.
import type { GgmlType } from "../../../formats/gguf/ggml-types.js";
import { GGML_TYPES } from "../../../formats/gguf/ggml-types.js";
import type { GgmlLibrary } from "../../../native/engine.js";
import { dequantize } from "../../../native/ggml.js";
import { fromFloat16, nearestFloat16, toFloat16 } from "../../../support/float16.js";
import { Factors, type LearnedWeight, type RecoveryRates } from "./learned-weight.js";

/** Types whose blocks begin with a float16 that multiplies all their values (ggml-common.h). */
export const SCALED_TYPES: ReadonlySet<GgmlType> = new Set(["iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s"]);

export class BlockScales implements LearnedWeight {
  readonly #blockWeights: number;
  readonly #blockBytes: number;
  readonly #bytes: Uint8Array;
  readonly #scales: Float32Array;
  /** Values over their block's scale, [weights]. */
  readonly #shape: Float32Array;
  readonly #factors: Factors;

  constructor(engine: GgmlLibrary, type: GgmlType, bytes: Uint8Array) {
    const { blockSize, typeSizeBytes } = GGML_TYPES[type];
    this.#blockWeights = blockSize;
    this.#blockBytes = typeSizeBytes;
    this.#bytes = bytes.slice();
    const view = new DataView(this.#bytes.buffer);
    const blocks = bytes.byteLength / typeSizeBytes;
    this.#scales = Float32Array.from({ length: blocks }, (_, i) =>
      fromFloat16(view.getUint16(i * typeSizeBytes, true)),
    );
    this.#shape = dequantize(engine, type, bytes, blocks * blockSize).map((value, i) => {
      const scale = this.#scales[Math.floor(i / blockSize)]!;
      return scale === 0 ? 0 : value / scale;
    });
    this.#factors = new Factors(this.#scales, nearestFloat16);
  }

  get factors(): number {
    return this.#scales.length;
  }

  update(gradient: Float32Array, step: number, rates: RecoveryRates): Uint8Array {
    const gradients = new Float64Array(this.#scales.length);
    for (let i = 0; i < gradient.length; i++)
      gradients[Math.floor(i / this.#blockWeights)]! += gradient[i]! * this.#shape[i]!;
    this.#factors.move(gradients, step, rates.scale);
    const view = new DataView(this.#bytes.buffer);
    this.#scales.forEach((scale, i) => view.setUint16(i * this.#blockBytes, toFloat16(scale), true));
    return this.#bytes;
  }
}
