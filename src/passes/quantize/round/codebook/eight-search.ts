// The best signs and codewords of eight weights under a quadratic form: codewords for given signs exactly, signs for given
// codewords one by one (two by two where their number must be even), in turns. On real layers it misses the best of all
// signs and codewords a few times in a hundred, and by little.
import { SIGN_WEIGHTS } from "./codebook-format.js";
import { isOdd } from "./codebook-rows.js";
import type { Codebook } from "./codebook.js";
import { nearestCodeword } from "./nearest-codeword.js";
import type { EightForm } from "./problem-forms.js";

/** Rounding errors could make two pairs of signs take turns for ever. */
const PAIR_FLIPS_MAX = 8;
/** More gain nothing that can be measured; one codeword for all eight settles in the first. */
const TURNS_MAX = { 8: 1, 4: 2 } as const;

/** Looks for the c with the least (c − t) S (c − t), where c has the book's magnitudes and any signs the type can store. */
export class EightSearch {
  /** c [8] */
  readonly point = new Float64Array(SIGN_WEIGHTS);
  /** S (c − t) [8]: half the gradient. */
  readonly slope = new Float64Array(SIGN_WEIGHTS);
  /** The one codeword of c, or the two. */
  readonly codes: Uint16Array;
  /** Bit i set: c_i is negative. */
  signs = 0;
  readonly #book: Codebook;
  readonly #linear: Float64Array;

  constructor(book: Codebook) {
    this.#book = book;
    this.codes = new Uint16Array(SIGN_WEIGHTS / book.format.codeLength);
    this.#linear = new Float64Array(book.format.codeLength);
  }

  /** Sets c to stored signs and codewords, those of eight number `eight` of a row. */
  place(signs: Uint8Array, codes: Uint16Array, eight: number): void {
    const { magnitudes, format } = this.#book;
    const { codeLength } = format;
    const parts = this.codes.length;
    this.signs = signs[eight]!;
    for (let part = 0; part < parts; part++) {
      const code = codes[eight * parts + part]!;
      this.codes[part] = code;
      for (let i = 0; i < codeLength; i++) {
        const at = part * codeLength + i;
        const magnitude = magnitudes[code * codeLength + i]!;
        this.point[at] = (this.signs >>> at) & 1 ? -magnitude : magnitude;
      }
    }
  }

  /** Stores signs and codewords. */
  store(signs: Uint8Array, codes: Uint16Array, eight: number): void {
    const parts = this.codes.length;
    signs[eight] = this.signs;
    for (let part = 0; part < parts; part++) codes[eight * parts + part] = this.codes[part]!;
  }

  /** Finds c for the target that `point` holds; on return `slope` is that of the point found. */
  round(form: EightForm): void {
    let signs = 0;
    let cheapest = 0;
    let least = Infinity;
    for (let i = 0; i < SIGN_WEIGHTS; i++) {
      this.slope[i] = 0;
      const value = this.point[i]!;
      if (value < 0) signs |= 1 << i;
      const cost = Math.abs(value) * form.whole[i * (SIGN_WEIGHTS + 1)]!;
      if (cost < least) {
        least = cost;
        cheapest = i;
      }
    }
    if (this.#book.format.isSignCountEven && isOdd(signs)) signs ^= 1 << cheapest;
    this.signs = signs;
    for (let part = 0; part < this.codes.length; part++) this.codes[part] = NO_CODE;
    this.descend(form);
  }

  /** Improves c, whose `slope` is known. @returns true when it changed; the cost never rises */
  descend(form: EightForm): boolean {
    const { isSignCountEven, codeLength } = this.#book.format;
    let hasMoved = false;
    for (let turn = 0; turn < TURNS_MAX[codeLength]; turn++) {
      let isStill = true;
      for (let part = 0; part < this.codes.length; part++) if (this.#chooseCodeword(form, part)) isStill = false;
      if (isSignCountEven ? this.#flipPairs(form.whole) : this.#flipSigns(form.whole)) isStill = false;
      if (isStill) break;
      hasMoved = true;
    }
    return hasMoved;
  }

  #chooseCodeword(form: EightForm, part: number): boolean {
    const { magnitudes, format } = this.#book;
    const { codeLength } = format;
    const { point, slope } = this;
    const offset = part * codeLength;
    const own = form.parts[part]!;
    for (let i = 0; i < codeLength; i++) {
      let sum = -slope[offset + i]!;
      for (let j = 0; j < codeLength; j++) sum += own.whole[i * codeLength + j]! * point[offset + j]!;
      this.#linear[i] = sum;
    }
    const code = nearestCodeword(this.#book, own, this.signs >>> offset, this.#linear);
    if (code === this.codes[part]) return false;
    this.codes[part] = code;
    for (let i = 0; i < codeLength; i++) {
      const at = offset + i;
      const magnitude = magnitudes[code * codeLength + i]!;
      this.#move(form.whole, at, ((this.signs >>> at) & 1 ? -magnitude : magnitude) - point[at]!);
    }
    return true;
  }

  #flipSigns(whole: Float64Array): boolean {
    let hasFlipped = false;
    for (let i = 0; i < SIGN_WEIGHTS; i++) {
      if (!(this.#flipCost(whole, i) < 0)) continue;
      this.#flip(whole, i);
      hasFlipped = true;
    }
    return hasFlipped;
  }

  /** Flips the two signs that gain most together, as often as that helps. */
  #flipPairs(whole: Float64Array): boolean {
    const { point } = this;
    let hasFlipped = false;
    for (let flips = 0; flips < PAIR_FLIPS_MAX; flips++) {
      let best = 0;
      let first = 0;
      let second = 0;
      for (let i = 1; i < SIGN_WEIGHTS; i++) {
        const alone = this.#flipCost(whole, i);
        const eightPoint = 8 * point[i]!;
        for (let j = 0; j < i; j++) {
          const together = eightPoint * whole[i * SIGN_WEIGHTS + j]! * point[j]!;
          const cost = alone + this.#flipCost(whole, j) + together;
          if (cost < best) {
            best = cost;
            first = i;
            second = j;
          }
        }
      }
      if (first === second) break;
      this.#flip(whole, first);
      this.#flip(whole, second);
      hasFlipped = true;
    }
    return hasFlipped;
  }

  /** What the cost rises by when c_i changes its sign. */
  #flipCost(whole: Float64Array, i: number): number {
    return 4 * this.point[i]! * (this.point[i]! * whole[i * (SIGN_WEIGHTS + 1)]! - this.slope[i]!);
  }

  #flip(whole: Float64Array, i: number): void {
    this.signs ^= 1 << i;
    this.#move(whole, i, -2 * this.point[i]!);
  }

  #move(whole: Float64Array, i: number, step: number): void {
    this.point[i]! += step;
    for (let j = 0; j < SIGN_WEIGHTS; j++) this.slope[j]! += step * whole[i * SIGN_WEIGHTS + j]!;
  }
}

/** None that a codebook has. */
const NO_CODE = 0xffff;
