// Error feedback, eight columns at a time: each group of weights that shares a scale takes the best signs and codewords for
// what is left to round after the errors before it, and climbs to the scale that makes its own loss least.
//
// Error feedback over vectors: Tseng et al., 2024 (QuIP#, BlockLDLQ), arXiv:2402.04396; the codebooks are ggml's.
import type { RoundingProblem } from "../problem.js";
import { BLOCK_WEIGHTS, SCALE_MAX, SIGN_WEIGHTS } from "./codebook-format.js";
import type { CodebookRows } from "./codebook-rows.js";
import type { Codebook } from "./codebook.js";
import { EightSearch } from "./eight-search.js";
import type { EightForm } from "./problem-forms.js";
import { StartingScales } from "./starting-scales.js";

/** Scales that a group tries at most on either side of its first guess; it seldom gets that far. */
const SCALE_STEPS_MAX = 3;

export class FeedBack {
  readonly #book: Codebook;
  readonly #problem: RoundingProblem;
  readonly #forms: readonly EightForm[];
  readonly #search: EightSearch;
  readonly #start: StartingScales;
  /** What the group's weights should become after the errors before the group. */
  readonly #base: Float64Array;
  readonly #target = new Float64Array(SIGN_WEIGHTS);
  #trial: GroupTrial;
  #best: GroupTrial;

  constructor(book: Codebook, problem: RoundingProblem, forms: readonly EightForm[]) {
    this.#book = book;
    this.#problem = problem;
    this.#forms = forms;
    this.#search = new EightSearch(book);
    this.#start = new StartingScales(book, forms);
    this.#base = new Float64Array(book.format.groupWeights);
    [this.#trial, this.#best] = [newTrial(book), newTrial(book)];
  }

  /**
   * Rounds one block of a row.
   *
   * @param weights the row
   * @param targets [256] what the block's weights should become after the errors before the block
   * @param error w − q of the row: known before the block, written in it
   */
  roundBlock(
    weights: Float32Array,
    targets: Float64Array,
    error: Float64Array,
    block: number,
    state: CodebookRows,
  ): void {
    const { groupWeights } = this.#book.format;
    const { columns, factor } = this.#problem;
    const from = block * BLOCK_WEIGHTS;
    this.#start.write(targets, block, state);
    for (let start = from; start < from + BLOCK_WEIGHTS; start += groupWeights) {
      for (let j = 0; j < groupWeights; j++) {
        const row = (start + j) * columns;
        let sum = targets[start - from + j]!;
        for (let i = from; i < start; i++) sum += error[i]! * factor.upper[row + i]!;
        this.#base[j] = sum;
      }
      const group = start / groupWeights;
      state.scales[group] = this.#chooseScale(weights, start, state.superScales[block]!, state.scales[group]!);
      this.#keep(weights, start, error, state);
    }
  }

  /** Leaves the best trial in `#best`. @returns its scale */
  #chooseScale(weights: Float32Array, start: number, superScale: number, guess: number): number {
    let least = this.#roundGroup(weights, start, superScale * (2 * guess + 1), Infinity);
    this.#swap();
    if (superScale === 0) return guess;
    let scale = guess;
    for (const direction of [1, -1]) {
      for (let step = 1; step <= SCALE_STEPS_MAX; step++) {
        const candidate = guess + direction * step;
        if (candidate < 0 || candidate > SCALE_MAX) break;
        const loss = this.#roundGroup(weights, start, superScale * (2 * candidate + 1), least);
        if (!(loss < least)) break;
        least = loss;
        scale = candidate;
        this.#swap();
      }
      if (scale > guess) break;
    }
    return scale;
  }

  /** Rounds a group at one scale into `#trial`. @returns its part of the row's loss, or something not below `bound` */
  #roundGroup(weights: Float32Array, start: number, step: number, bound: number): number {
    const { columns, factor } = this.#problem;
    const { groupWeights } = this.#book.format;
    const search = this.#search;
    const { point, slope } = search;
    const { signs, codes, values, errors } = this.#trial;
    let loss = 0;
    for (let offset = 0; offset < groupWeights && loss < bound; offset += SIGN_WEIGHTS) {
      const form = this.#forms[(start + offset) / SIGN_WEIGHTS]!;
      for (let j = 0; j < SIGN_WEIGHTS; j++) {
        const row = (start + offset + j) * columns + start;
        let sum = this.#base[offset + j]!;
        for (let i = 0; i < offset; i++) sum += errors[i]! * factor.upper[row + i]!;
        this.#target[j] = sum;
        point[j] = step > 0 ? sum / step : 0;
      }
      search.round(form);
      search.store(signs, codes, offset / SIGN_WEIGHTS);
      let cost = 0;
      for (let j = 0; j < SIGN_WEIGHTS; j++) {
        const value = step * point[j]!;
        values[offset + j] = value;
        errors[offset + j] = weights[start + offset + j]! - value;
        cost += (value - this.#target[j]!) * slope[j]!;
      }
      loss += cost * step;
    }
    return loss;
  }

  #swap(): void {
    [this.#trial, this.#best] = [this.#best, this.#trial];
  }

  #keep(weights: Float32Array, start: number, error: Float64Array, state: CodebookRows): void {
    const { groupWeights, codeLength } = this.#book.format;
    const { signs, codes, values } = this.#best;
    for (let j = 0; j < groupWeights; j++) error[start + j] = weights[start + j]! - values[j]!;
    for (let i = 0; i < codes.length; i++) state.codes[start / codeLength + i] = codes[i]!;
    for (let i = 0; i < signs.length; i++) state.signs[start / SIGN_WEIGHTS + i] = signs[i]!;
  }
}

/** A group at one scale. */
interface GroupTrial {
  signs: Uint8Array;
  codes: Uint16Array;
  values: Float64Array;
  /** w − q */
  errors: Float64Array;
}

function newTrial({ format }: Codebook): GroupTrial {
  const { groupWeights, codeLength } = format;
  return {
    signs: new Uint8Array(groupWeights / SIGN_WEIGHTS),
    codes: new Uint16Array(groupWeights / codeLength),
    values: new Float64Array(groupWeights),
    errors: new Float64Array(groupWeights),
  };
}
