// The inner search: which codeword is nearest under a quadratic form, its signs given. Exact: first halves are ordered by
// what they cost with the best real second half, and those that can't win any more are passed over with all their codewords.
import type { Codebook } from "./codebook.js";
import type { CodewordForm } from "./problem-forms.js";

const HALVES_MAX = 128; // 3⁴ = 81 and 8² = 64 are possible
const bounds = new Float64Array(HALVES_MAX);

/**
 * The codeword m with the least x M x − 2 r·x, x being m with signs.
 *
 * Operations: 28 for each of at most 81 first halves of four, or 9 for each of at most 64 of two; then some 50 or 20 for a
 * first half that is still in question, and 28 or 9 for each of its codewords. On real weights that are three to six.
 *
 * @param signs bit i set: x_i is negative
 * @param linear r [codeLength]
 */
export function nearestCodeword(book: Codebook, form: CodewordForm, signs: number, linear: Float64Array): number {
  return book.format.codeLength === 8
    ? nearestOfEight(book, form, signs, linear)
    : nearestOfFour(book, form, signs, linear);
}

function nearestOfEight(book: Codebook, form: CodewordForm, signs: number, linear: Float64Array): number {
  const { firsts, seconds, runs, codes } = book;
  const { whole, first, carry, secondInverse } = form;
  const s0 = signs & 1 ? -1 : 1;
  const s1 = signs & 2 ? -1 : 1;
  const s2 = signs & 4 ? -1 : 1;
  const s3 = signs & 8 ? -1 : 1;
  const s4 = signs & 16 ? -1 : 1;
  const s5 = signs & 32 ? -1 : 1;
  const s6 = signs & 64 ? -1 : 1;
  const s7 = signs & 128 ? -1 : 1;
  const r4 = linear[4]!;
  const r5 = linear[5]!;
  const r6 = linear[6]!;
  const r7 = linear[7]!;

  // The least cost of each first half, up to a constant that is the same for all.
  const p0 = -2 * s0 * (linear[0]! - carry[0]! * r4 - carry[1]! * r5 - carry[2]! * r6 - carry[3]! * r7);
  const p1 = -2 * s1 * (linear[1]! - carry[4]! * r4 - carry[5]! * r5 - carry[6]! * r6 - carry[7]! * r7);
  const p2 = -2 * s2 * (linear[2]! - carry[8]! * r4 - carry[9]! * r5 - carry[10]! * r6 - carry[11]! * r7);
  const p3 = -2 * s3 * (linear[3]! - carry[12]! * r4 - carry[13]! * r5 - carry[14]! * r6 - carry[15]! * r7);
  const q00 = first[0]!;
  const q11 = first[5]!;
  const q22 = first[10]!;
  const q33 = first[15]!;
  const q01 = 2 * s0 * s1 * first[1]!;
  const q02 = 2 * s0 * s2 * first[2]!;
  const q03 = 2 * s0 * s3 * first[3]!;
  const q12 = 2 * s1 * s2 * first[6]!;
  const q13 = 2 * s1 * s3 * first[7]!;
  const q23 = 2 * s2 * s3 * first[11]!;
  const halves = runs.length - 1;
  let least = Infinity;
  let leastHalf = 0;
  for (let h = 0; h < halves; h++) {
    const a = firsts[4 * h]!;
    const b = firsts[4 * h + 1]!;
    const c = firsts[4 * h + 2]!;
    const d = firsts[4 * h + 3]!;
    const bound =
      a * (q00 * a + q01 * b + q02 * c + q03 * d + p0) +
      b * (q11 * b + q12 * c + q13 * d + p1) +
      c * (q22 * c + q23 * d + p2) +
      d * (q33 * d + p3);
    bounds[h] = bound;
    if (bound < least) {
      least = bound;
      leastHalf = h;
    }
  }
  const constant =
    r4 * (secondInverse[0]! * r4 + 2 * (secondInverse[1]! * r5 + secondInverse[2]! * r6 + secondInverse[3]! * r7)) +
    r5 * (secondInverse[5]! * r5 + 2 * (secondInverse[6]! * r6 + secondInverse[7]! * r7)) +
    r6 * (secondInverse[10]! * r6 + 2 * secondInverse[11]! * r7) +
    r7 * secondInverse[15]! * r7;

  const w44 = whole[36]!;
  const w55 = whole[45]!;
  const w66 = whole[54]!;
  const w77 = whole[63]!;
  const w45 = 2 * s4 * s5 * whole[37]!;
  const w46 = 2 * s4 * s6 * whole[38]!;
  const w47 = 2 * s4 * s7 * whole[39]!;
  const w56 = 2 * s5 * s6 * whole[46]!;
  const w57 = 2 * s5 * s7 * whole[47]!;
  const w67 = 2 * s6 * s7 * whole[55]!;
  let best = Infinity;
  let bestPosition = 0;
  for (let turn = -1; turn < halves; turn++) {
    const h = turn < 0 ? leastHalf : turn;
    if (turn >= 0 && (turn === leastHalf || bounds[turn]! - constant >= best)) continue;
    const a = s0 * firsts[4 * h]!;
    const b = s1 * firsts[4 * h + 1]!;
    const c = s2 * firsts[4 * h + 2]!;
    const d = s3 * firsts[4 * h + 3]!;
    const base =
      a * (whole[0]! * a + 2 * (whole[1]! * b + whole[2]! * c + whole[3]! * d - linear[0]!)) +
      b * (whole[9]! * b + 2 * (whole[10]! * c + whole[11]! * d - linear[1]!)) +
      c * (whole[18]! * c + 2 * (whole[19]! * d - linear[2]!)) +
      d * (whole[27]! * d - 2 * linear[3]!);
    const l4 = 2 * s4 * (whole[4]! * a + whole[12]! * b + whole[20]! * c + whole[28]! * d - r4);
    const l5 = 2 * s5 * (whole[5]! * a + whole[13]! * b + whole[21]! * c + whole[29]! * d - r5);
    const l6 = 2 * s6 * (whole[6]! * a + whole[14]! * b + whole[22]! * c + whole[30]! * d - r6);
    const l7 = 2 * s7 * (whole[7]! * a + whole[15]! * b + whole[23]! * c + whole[31]! * d - r7);
    const end = runs[h + 1]!;
    for (let position = runs[h]!; position < end; position++) {
      const e = seconds[4 * position]!;
      const f = seconds[4 * position + 1]!;
      const g = seconds[4 * position + 2]!;
      const k = seconds[4 * position + 3]!;
      const cost =
        base +
        e * (w44 * e + w45 * f + w46 * g + w47 * k + l4) +
        f * (w55 * f + w56 * g + w57 * k + l5) +
        g * (w66 * g + w67 * k + l6) +
        k * (w77 * k + l7);
      if (cost < best) {
        best = cost;
        bestPosition = position;
      }
    }
  }
  return codes[bestPosition]!;
}

function nearestOfFour(book: Codebook, form: CodewordForm, signs: number, linear: Float64Array): number {
  const { firsts, seconds, runs, codes } = book;
  const { whole, first, carry, secondInverse } = form;
  const s0 = signs & 1 ? -1 : 1;
  const s1 = signs & 2 ? -1 : 1;
  const s2 = signs & 4 ? -1 : 1;
  const s3 = signs & 8 ? -1 : 1;
  const r2 = linear[2]!;
  const r3 = linear[3]!;

  const p0 = -2 * s0 * (linear[0]! - carry[0]! * r2 - carry[1]! * r3);
  const p1 = -2 * s1 * (linear[1]! - carry[2]! * r2 - carry[3]! * r3);
  const q00 = first[0]!;
  const q11 = first[3]!;
  const q01 = 2 * s0 * s1 * first[1]!;
  const halves = runs.length - 1;
  let least = Infinity;
  let leastHalf = 0;
  for (let h = 0; h < halves; h++) {
    const a = firsts[2 * h]!;
    const b = firsts[2 * h + 1]!;
    const bound = a * (q00 * a + q01 * b + p0) + b * (q11 * b + p1);
    bounds[h] = bound;
    if (bound < least) {
      least = bound;
      leastHalf = h;
    }
  }
  const constant = r2 * (secondInverse[0]! * r2 + 2 * secondInverse[1]! * r3) + r3 * secondInverse[3]! * r3;

  const w22 = whole[10]!;
  const w33 = whole[15]!;
  const w23 = 2 * s2 * s3 * whole[11]!;
  let best = Infinity;
  let bestPosition = 0;
  for (let turn = -1; turn < halves; turn++) {
    const h = turn < 0 ? leastHalf : turn;
    if (turn >= 0 && (turn === leastHalf || bounds[turn]! - constant >= best)) continue;
    const a = s0 * firsts[2 * h]!;
    const b = s1 * firsts[2 * h + 1]!;
    const base = a * (whole[0]! * a + 2 * (whole[1]! * b - linear[0]!)) + b * (whole[5]! * b - 2 * linear[1]!);
    const l2 = 2 * s2 * (whole[2]! * a + whole[6]! * b - r2);
    const l3 = 2 * s3 * (whole[3]! * a + whole[7]! * b - r3);
    const end = runs[h + 1]!;
    for (let position = runs[h]!; position < end; position++) {
      const c = seconds[2 * position]!;
      const d = seconds[2 * position + 1]!;
      const cost = base + c * (w22 * c + w23 * d + l2) + d * (w33 * d + l3);
      if (cost < best) {
        best = cost;
        bestPosition = position;
      }
    }
  }
  return codes[bestPosition]!;
}
