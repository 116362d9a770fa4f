// First scales of a block: each group guesses its step from the size of its weights, the largest groups try steps around
// their guess with the codewords they would get, and the largest step takes the largest scale.
//
// ggml's own encoders are not asked: what they find is no better, and their tables for iq2 take seconds to build.
import { nearestFloat16 } from "../../../../support/float16.js";
import { BLOCK_WEIGHTS, SCALE_MAX, SIGN_WEIGHTS } from "./codebook-format.js";
import type { CodebookRows } from "./codebook-rows.js";
import type { Codebook } from "./codebook.js";
import { EightSearch } from "./eight-search.js";
import type { EightForm } from "./problem-forms.js";

/** Groups of a block that try steps: the superscale follows from the largest, which may not be the one guessed. */
const GROUPS_TRIED = { 8: 4, 4: 2 } as const; // two more gain a percent where all eight weights have one codeword
/** The root mean square alone guesses too small where one weight stands out, the largest alone where none does. */
const RMS_SHARE = 0.6;

/** Of a group's guess, tried in this order. */
const STRETCHES = [1, 0.83, 1.2, 0.91, 1.1, 0.75, 1.32];

export class StartingScales {
  readonly #book: Codebook;
  readonly #forms: readonly EightForm[];
  readonly #search: EightSearch;
  readonly #size: { rms: number; largest: number };
  /** What one unit of a codebook should be in each group: superscale · (2 · scale + 1). */
  readonly #steps: Float64Array;
  readonly #isTried: Uint8Array;

  /** @param forms the conditional ones */
  constructor(book: Codebook, forms: readonly EightForm[]) {
    this.#book = book;
    this.#forms = forms;
    this.#search = new EightSearch(book);
    this.#size = sizeOf(book.magnitudes);
    this.#steps = new Float64Array(BLOCK_WEIGHTS / book.format.groupWeights);
    this.#isTried = new Uint8Array(this.#steps.length);
  }

  /**
   * Writes a block's superscale and scales.
   *
   * @param targets [256] what the block's weights should become
   */
  write(targets: Float64Array, block: number, state: CodebookRows): void {
    const { groupWeights, codeLength } = this.#book.format;
    const steps = this.#steps;
    const groups = steps.length;
    for (let group = 0; group < groups; group++) {
      const { rms, largest } = sizeOf(targets.subarray(group * groupWeights, (group + 1) * groupWeights));
      steps[group] = RMS_SHARE * (rms / this.#size.rms) + (1 - RMS_SHARE) * (largest / this.#size.largest);
    }
    this.#isTried.fill(0);
    for (let turn = 0; turn < GROUPS_TRIED[codeLength]; turn++) {
      let group = -1;
      for (let other = 0; other < groups; other++) {
        if (this.#isTried[other] === 0 && (group < 0 || steps[other]! > steps[group]!)) group = other;
      }
      this.#isTried[group] = 1;
      if (steps[group]! > 0) steps[group] = this.#bestStep(targets, block, group, steps[group]!);
    }
    const superScale = nearestFloat16(Math.max(...steps) / (2 * SCALE_MAX + 1));
    state.superScales[block] = superScale;
    for (let group = 0; group < groups; group++) {
      const scale = superScale > 0 ? Math.round((steps[group]! / superScale - 1) / 2) : 0;
      state.scales[block * groups + group] = Math.max(0, Math.min(SCALE_MAX, scale));
    }
  }

  #bestStep(targets: Float64Array, block: number, group: number, guess: number): number {
    let least = Infinity;
    let best = guess;
    for (const stretch of STRETCHES) {
      const loss = this.#lossAt(targets, block, group, guess * stretch, least);
      if (!(loss < least)) continue;
      least = loss;
      best = guess * stretch;
    }
    return best;
  }

  /** What rounding a group at a step costs, each eight for itself; or something not below `bound`. */
  #lossAt(targets: Float64Array, block: number, group: number, step: number, bound: number): number {
    const { groupWeights } = this.#book.format;
    const { point, slope } = this.#search;
    const start = group * groupWeights;
    let loss = 0;
    for (let at = start; at < start + groupWeights && loss < bound; at += SIGN_WEIGHTS) {
      for (let j = 0; j < SIGN_WEIGHTS; j++) point[j] = targets[at + j]! / step;
      this.#search.round(this.#forms[(block * BLOCK_WEIGHTS + at) / SIGN_WEIGHTS]!);
      let cost = 0;
      for (let j = 0; j < SIGN_WEIGHTS; j++) cost += (point[j]! * step - targets[at + j]!) * slope[j]!;
      loss += cost * step;
    }
    return loss;
  }
}

function sizeOf(values: Float64Array): { rms: number; largest: number } {
  let power = 0;
  let largest = 0;
  for (const value of values) {
    power += value * value;
    largest = Math.max(largest, Math.abs(value));
  }
  return { rms: Math.sqrt(power / values.length), largest };
}
