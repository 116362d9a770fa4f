// Descent on a rounded row: each group of weights that shares a scale tries its scale and the next one that way which the
// loss falls, with the best signs and codewords for each while all other groups stay; each block refits its superscale.
// Every step is exact and the loss never rises.
import { nearestFloat16 } from "../../../../support/float16.js";
import type { RoundingProblem } from "../problem.js";
import { BLOCK_WEIGHTS, SCALE_MAX, SIGN_WEIGHTS } from "./codebook-format.js";
import type { CodebookRows } from "./codebook-rows.js";
import type { Codebook } from "./codebook.js";
import { EightSearch } from "./eight-search.js";
import type { EightForm } from "./problem-forms.js";

/** Share of its row's loss that a superscale must gain to be moved, which costs as much as moving all of its weights. */
const GAIN_MIN = 5e-3;

export class Descent {
  readonly #book: Codebook;
  readonly #problem: RoundingProblem;
  readonly #forms: readonly EightForm[];
  readonly #search: EightSearch;
  readonly #direction = new Float64Array(BLOCK_WEIGHTS);
  #trial: GroupTrial;
  #best: GroupTrial;

  constructor(book: Codebook, problem: RoundingProblem, forms: readonly EightForm[]) {
    this.#book = book;
    this.#problem = problem;
    this.#forms = forms;
    this.#search = new EightSearch(book);
    [this.#trial, this.#best] = [newTrial(book), newTrial(book)];
  }

  /**
   * Improves one row in place, sweep after sweep until nothing moves.
   *
   * @param error w − q, kept up to date
   * @param gradient (w − q) H, kept up to date
   */
  improve(state: CodebookRows, error: Float64Array, gradient: Float64Array, sweeps: number): void {
    const groups = BLOCK_WEIGHTS / this.#book.format.groupWeights;
    for (let sweep = 0; sweep < sweeps; sweep++) {
      let hasMoved = false;
      let loss = 0;
      for (let j = 0; j < error.length; j++) loss += error[j]! * gradient[j]!;
      for (let block = 0; block < state.superScales.length; block++) {
        if (state.superScales[block] === 0) continue;
        if (this.#refitSuperScale(state, error, gradient, block, loss)) hasMoved = true;
        for (let group = block * groups; group < (block + 1) * groups; group++) {
          if (this.#improveGroup(state, error, gradient, group, state.superScales[block]!)) hasMoved = true;
        }
      }
      if (!hasMoved) break;
    }
  }

  #improveGroup(
    state: CodebookRows,
    error: Float64Array,
    gradient: Float64Array,
    group: number,
    superScale: number,
  ): boolean {
    const { groupWeights } = this.#book.format;
    const start = group * groupWeights;
    const scale = state.scales[group]!;
    const step = superScale * (2 * scale + 1);
    let least = this.#tryScale(state, gradient, start, step, step);
    this.#swap();
    let bestScale = scale;
    const next = scale + this.#scaleDirection(state, gradient, start);
    if (next >= 0 && next <= SCALE_MAX) {
      const change = this.#tryScale(state, gradient, start, step, superScale * (2 * next + 1));
      if (change < least) {
        least = change;
        bestScale = next;
        this.#swap();
      }
    }
    if (!(least < 0)) return false;
    state.scales[group] = bestScale;
    this.#keep(state, error, gradient, start);
    return true;
  }

  /** 1 when the loss falls as the group grows, else −1. */
  #scaleDirection(state: CodebookRows, gradient: Float64Array, start: number): number {
    const search = this.#search;
    let slope = 0;
    for (let offset = 0; offset < this.#book.format.groupWeights; offset += SIGN_WEIGHTS) {
      search.place(state.signs, state.codes, (start + offset) / SIGN_WEIGHTS);
      for (let j = 0; j < SIGN_WEIGHTS; j++) slope += search.point[j]! * gradient[start + offset + j]!;
    }
    return slope > 0 ? 1 : -1;
  }

  /** Rounds the group anew at another step, or the same, into `#trial`. @returns what the loss changes by */
  #tryScale(state: CodebookRows, gradient: Float64Array, start: number, before: number, step: number): number {
    const { groupWeights } = this.#book.format;
    const search = this.#search;
    const { point, slope } = search;
    const trial = this.#trial;
    const firstEight = start / SIGN_WEIGHTS;
    for (let j = 0; j < groupWeights; j++) {
      trial.gradient[j] = gradient[start + j]!;
      trial.moves[j] = 0;
    }
    if (step !== before) {
      for (let offset = 0; offset < groupWeights; offset += SIGN_WEIGHTS) {
        search.place(state.signs, state.codes, firstEight + offset / SIGN_WEIGHTS);
        for (let j = 0; j < SIGN_WEIGHTS; j++) this.#move(start, offset + j, (step - before) * point[j]!);
      }
    }
    for (let offset = 0; offset < groupWeights; offset += SIGN_WEIGHTS) {
      const eight = firstEight + offset / SIGN_WEIGHTS;
      search.place(state.signs, state.codes, eight);
      for (let j = 0; j < SIGN_WEIGHTS; j++) {
        slope[j] = -trial.gradient[offset + j]! / step;
        trial.before[j] = point[j]!;
      }
      const hasMoved = search.descend(this.#forms[eight]!);
      search.store(trial.signs, trial.codes, offset / SIGN_WEIGHTS);
      if (!hasMoved) continue;
      for (let j = 0; j < SIGN_WEIGHTS; j++) this.#move(start, offset + j, step * (point[j]! - trial.before[j]!));
    }
    let change = 0; // of e H eᵀ along a straight line: minus the step times the sum of the gradients at both ends
    for (let j = 0; j < groupWeights; j++) change -= trial.moves[j]! * (gradient[start + j]! + trial.gradient[j]!);
    return change;
  }

  /** Adds `step` to one q of the trial. */
  #move(start: number, offset: number, step: number): void {
    if (step === 0) return;
    const { hessian, columns } = this.#problem;
    const { gradient, moves } = this.#trial;
    moves[offset]! += step;
    const row = (start + offset) * columns + start;
    for (let i = 0; i < gradient.length; i++) gradient[i]! -= step * hessian[row + i]!;
  }

  #swap(): void {
    [this.#trial, this.#best] = [this.#best, this.#trial];
  }

  #keep(state: CodebookRows, error: Float64Array, gradient: Float64Array, start: number): void {
    const { groupWeights, codeLength } = this.#book.format;
    const { signs, codes, moves } = this.#best;
    for (let i = 0; i < codes.length; i++) state.codes[start / codeLength + i] = codes[i]!;
    for (let i = 0; i < signs.length; i++) state.signs[start / SIGN_WEIGHTS + i] = signs[i]!;
    this.#moveRow(error, gradient, start, moves, groupWeights, 1);
  }

  /** Adds `step` times the moves to the q from `start` on. */
  #moveRow(
    error: Float64Array,
    gradient: Float64Array,
    start: number,
    moves: Float64Array,
    count: number,
    step: number,
  ): void {
    const { hessian, columns } = this.#problem;
    for (let j = 0; j < count; j++) {
      const move = step * moves[j]!;
      if (move === 0) continue;
      error[start + j]! -= move;
      const row = (start + j) * columns;
      for (let i = 0; i < columns; i++) gradient[i]! -= move * hessian[row + i]!;
    }
  }

  /** Moves a superscale to the float16 nearest to its best value. */
  #refitSuperScale(
    state: CodebookRows,
    error: Float64Array,
    gradient: Float64Array,
    block: number,
    loss: number,
  ): boolean {
    const { hessian, columns } = this.#problem;
    const start = block * BLOCK_WEIGHTS;
    const direction = this.#direction;
    const search = this.#search;
    let slope = 0;
    for (let offset = 0; offset < BLOCK_WEIGHTS; offset += SIGN_WEIGHTS) {
      const column = start + offset;
      search.place(state.signs, state.codes, column / SIGN_WEIGHTS);
      const odd = 2 * state.scales[Math.floor(column / this.#book.format.groupWeights)]! + 1;
      for (let j = 0; j < SIGN_WEIGHTS; j++) {
        direction[offset + j] = odd * search.point[j]!;
        slope += direction[offset + j]! * gradient[column + j]!;
      }
    }
    let curvature = 0;
    for (let j = 0; j < BLOCK_WEIGHTS; j++) {
      const row = (start + j) * columns + start;
      let product = 0;
      for (let i = 0; i < j; i++) product += hessian[row + i]! * direction[i]!;
      curvature += direction[j]! * (2 * product + hessian[row + j]! * direction[j]!);
    }
    const present = state.superScales[block]!;
    const wanted = nearestFloat16(present + slope / curvature);
    const step = wanted - present;
    if (!(wanted > 0) || !(step * (2 * slope - step * curvature) > GAIN_MIN * loss)) return false;
    state.superScales[block] = wanted;
    this.#moveRow(error, gradient, start, direction, BLOCK_WEIGHTS, step);
    return true;
  }
}

/** A group at one scale, and how it got there. */
interface GroupTrial {
  signs: Uint8Array;
  codes: Uint16Array;
  /** What is added to each q. */
  moves: Float64Array;
  /** (w − q) H of the group's columns after that. */
  gradient: Float64Array;
  /** [8] */
  before: Float64Array;
}

function newTrial({ format }: Codebook): GroupTrial {
  const { groupWeights, codeLength } = format;
  return {
    signs: new Uint8Array(groupWeights / SIGN_WEIGHTS),
    codes: new Uint16Array(groupWeights / codeLength),
    moves: new Float64Array(groupWeights),
    gradient: new Float64Array(groupWeights),
    before: new Float64Array(SIGN_WEIGHTS),
  };
}
