// The codebook that a matrix is rounded with, set by the host; see codebook.ts of the host for what it is. Halves of
// codewords lie in fours, the four's first magnitudes, then its second ones, and so on, so that four are weighed at a time.

/** Weights whose signs are stored together. */
export const SIGN_WEIGHTS: i32 = 8;
/** Weights that share a superscale. */
export const BLOCK_WEIGHTS: i32 = 256;
export const SCALE_MAX: i32 = 15;

/** What a scale multiplies its superscale by. */
export function oddOf(scale: i32): f32 {
  const odd = (scale << 1) + 1;
  return <f32>odd;
}

/** Magnitudes per codeword: 8 or 4. */
export let codeLength: i32 = 0;
/** Weights that share a scale: 16 or 32. */
export let groupWeights: i32 = 0;
/** True where only seven of eight signs are stored. */
export let isSignCountEven: bool = false;
/** Different first halves; in `firsts` the last one is repeated up to a whole four. */
export let halves: i32 = 0;
export let firsts: usize = 0;
/** First four of each half's codewords, and the end: u16 [halves + 1]. */
export let runs: usize = 0;
/** Second halves; in each run the last one is repeated up to a whole four. */
export let seconds: usize = 0;
/** The codeword of each second half, u16. */
export let codes: usize = 0;
/** f32 [codeLength × codewords]. */
export let magnitudes: usize = 0;
/** Root mean square of all magnitudes, and the largest. */
export let rms: f32 = 0;
export let largest: f32 = 0;

export function setBook(
  length: i32,
  group: i32,
  isEven: bool,
  count: i32,
  firstsAt: usize,
  runsAt: usize,
  secondsAt: usize,
  codesAt: usize,
  magnitudesAt: usize,
  rootMeanSquare: f32,
  most: f32,
): void {
  codeLength = length;
  groupWeights = group;
  isSignCountEven = isEven;
  halves = count;
  firsts = firstsAt;
  runs = runsAt;
  seconds = secondsAt;
  codes = codesAt;
  magnitudes = magnitudesAt;
  rms = rootMeanSquare;
  largest = most;
}
