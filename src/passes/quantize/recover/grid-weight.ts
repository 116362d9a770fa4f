// Straight-through training on the grid of a scalar type (Bengio et al., 2013, arXiv:1308.3432; Esser et al., 2019,
// arXiv:1902.08153): behind each code stands a latent weight that moves by the gradient of the rounded one, and the code is
// the level nearest to it. Beside the codes the float16 scales and offsets of the blocks learn, each kept as a factor of
// what it was and stored as the float16 nearest to it; the integer scales inside a block stay as they are.
import { nearestFloat16 } from "../../../support/float16.js";
import { type RowsState, type ScalarFormat, packRows, unpackRows } from "../round/scalar-format.js";
import { codeOf } from "../round/nearest-code.js";
import { Adam, Factors, type LearnedWeight, type RecoveryRates } from "./learned-weight.js";

export class GridWeight implements LearnedWeight {
  readonly #format: ScalarFormat;
  readonly #rows: number;
  readonly #columns: number;
  readonly #state: RowsState;
  /** Latent weights in units of their scale, offset taken away; [columns × rows]. */
  readonly #latent: Float32Array;
  /** Distance between neighbouring levels: what a step is measured in. */
  readonly #spacing: number;
  readonly #codes: Adam;
  readonly #scales: Factors;
  readonly #offsets: Factors;

  /**
   * @param bytes the rounded tensor, where the training starts
   * @param original the weights that were rounded: latent weights start half way to them, but at their level where the code is
   *   not the nearest. Nearer to the edge of the cell, first small steps would undo many of the solver's choices at once.
   */
  constructor(format: ScalarFormat, bytes: Uint8Array, original: Float32Array, columns: number) {
    this.#format = format;
    this.#columns = columns;
    this.#rows = original.length / columns;
    this.#state = unpackRows(format, bytes, this.#rows, columns);
    const { levels } = format;
    this.#spacing = (levels.at(-1)! - levels[0]!) / (levels.length - 1);
    this.#latent = this.#startingLatent(original);
    this.#codes = new Adam(original.length);
    this.#scales = new Factors(this.#state.superScales, nearestFloat16);
    this.#offsets = new Factors(this.#state.superMins, nearestFloat16);
  }

  get factors(): number {
    return this.#state.superScales.length + this.#state.superMins.length;
  }

  update(gradient: Float32Array, step: number, rates: RecoveryRates): Uint8Array {
    this.#codes.begin(step);
    const { scaleGradients, offsetGradients } = this.#moveCodes(gradient, rates.code * this.#spacing);
    this.#scales.move(scaleGradients, step, rates.scale);
    this.#offsets.move(offsetGradients, step, rates.scale);
    return packRows(this.#format, this.#state, this.#rows, this.#columns);
  }

  /** Moves latent weights and rounds them; the gradients of scales and offsets are those of the codes before. */
  #moveCodes(gradient: Float32Array, rate: number) {
    const { levels } = this.#format;
    const { codes } = this.#state;
    const [lowest, highest] = [levels[0]! - this.#spacing / 2, levels.at(-1)! + this.#spacing / 2];
    const scaleGradients = new Float64Array(this.#state.superScales.length);
    const offsetGradients = new Float64Array(this.#state.superMins.length);
    this.#eachGroup((start, end, block, scale, min) => {
      const sign = this.#state.superScales[block]! * scale;
      let ofScale = 0;
      let ofOffset = 0;
      for (let i = start; i < end; i++) {
        const g = gradient[i]!;
        ofScale += g * levels[codes[i]!]!;
        ofOffset += g;
        if (sign === 0) continue; // nothing that its codes could change
        const moved = this.#latent[i]! - (sign > 0 ? rate : -rate) * this.#codes.direction(i, g);
        this.#latent[i] = moved < lowest ? lowest : moved > highest ? highest : moved;
        codes[i] = codeOf(this.#format, this.#latent[i]!);
      }
      scaleGradients[block]! += ofScale * scale;
      if (offsetGradients.length) offsetGradients[block]! -= ofOffset * min;
    });
    return { scaleGradients, offsetGradients };
  }

  #startingLatent(original: Float32Array): Float32Array {
    const { levels } = this.#format;
    const { codes, superScales, superMins } = this.#state;
    const last = levels.length - 1;
    const latent = new Float32Array(original.length);
    this.#eachGroup((start, end, block, scale, min) => {
      const unit = superScales[block]! * scale;
      const offset = min && superMins[block]! * min;
      for (let i = start; i < end; i++) {
        const code = codes[i]!;
        const level = levels[code]!;
        const wanted = unit === 0 ? level : (original[i]! + offset) / unit;
        const low = code > 0 ? (levels[code - 1]! + level) / 2 : level - this.#spacing / 2;
        const high = code < last ? (level + levels[code + 1]!) / 2 : level + this.#spacing / 2;
        latent[i] = wanted > low && wanted < high ? (level + wanted) / 2 : level;
      }
    });
    return latent;
  }

  #eachGroup(visit: (start: number, end: number, block: number, scale: number, min: number) => void): void {
    const { blockWeights, groupWeights } = this.#format;
    const { scales, mins } = this.#state;
    const groupsPerBlock = blockWeights / groupWeights;
    for (let group = 0; group < scales.length; group++) {
      const start = group * groupWeights;
      visit(start, start + groupWeights, Math.floor(group / groupsPerBlock), scales[group]!, mins[group] ?? 0);
    }
  }
}
