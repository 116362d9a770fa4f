// The one arithmetic loop of calibration in JavaScript: squares added up per column, one multiplication for each activation
// that is read. At 0.6 ns each it is a few percent of a forward pass; as a ggml graph it would save half of that and
// pay for starting the graph. Matrix products, as Hessians need, do run in ggml (`hessian-sums.ts`).

/**
 * Adds the squares of rows to running sums: sums[start + j] += Σ_r values[offsets[r] + j]².
 * Eight rows a turn, so that one load and store of the sum serves eight squares; array destructuring in the inner loop
 * made it three times slower. In doubles: the order of rows hardly matters.
 *
 * @param values memory that holds the rows
 * @param offsets where each row starts in `values`
 * @param columns row length
 * @param start where the sums of this matrix start
 */
export function addSquares(
  values: Float32Array,
  offsets: Int32Array,
  columns: number,
  sums: Float64Array,
  start: number,
): void {
  let row = 0;
  for (; row + 7 < offsets.length; row += 8) {
    const a = offsets[row]!;
    const b = offsets[row + 1]!;
    const c = offsets[row + 2]!;
    const d = offsets[row + 3]!;
    const e = offsets[row + 4]!;
    const f = offsets[row + 5]!;
    const g = offsets[row + 6]!;
    const h = offsets[row + 7]!;
    for (let j = 0; j < columns; j++) {
      const p = values[a + j]!;
      const q = values[b + j]!;
      const r = values[c + j]!;
      const s = values[d + j]!;
      const t = values[e + j]!;
      const u = values[f + j]!;
      const v = values[g + j]!;
      const w = values[h + j]!;
      sums[start + j]! += p * p + q * q + r * r + s * s + (t * t + u * u + v * v + w * w);
    }
  }
  for (; row < offsets.length; row++) {
    const a = offsets[row]!;
    for (let j = 0; j < columns; j++) sums[start + j]! += values[a + j]! * values[a + j]!;
  }
}

/** Index of the first sum that is NaN or beyond what a 32-bit float holds, or -1. */
export function firstUnsound(sums: Float64Array): number {
  for (let i = 0; i < sums.length; i++) if (!(sums[i]! <= FLOAT32_MAX)) return i;
  return -1;
}

const FLOAT32_MAX = 3.4028234663852886e38;
