// The one large product of these solvers, two rows by two so that each number loaded is used twice.

/**
 * out_rj += Σ_i a_ri b_ji over the first `count` columns.
 *
 * @param a rows `stride` apart
 * @param b rows `stride` apart from `start` on; an even number of them
 * @param out rows `stride` apart
 */
export function addProducts(
  a: { values: Float64Array; stride: number; rows: number },
  b: { values: Float32Array; start: number; stride: number; rows: number },
  out: { values: Float64Array; stride: number },
  count: number,
): void {
  const [left, right, sums] = [a.values, b.values, out.values];
  for (let row = 0; row < a.rows; row += 2) {
    const first = row * a.stride;
    const second = row + 1 < a.rows ? first + a.stride : first;
    for (let j = 0; j < b.rows; j += 2) {
      const third = b.start + j * b.stride;
      const fourth = third + b.stride;
      let s00 = 0;
      let s01 = 0;
      let s10 = 0;
      let s11 = 0;
      for (let i = 0; i < count; i++) {
        const x = left[first + i]!;
        const y = left[second + i]!;
        const u = right[third + i]!;
        const v = right[fourth + i]!;
        s00 += x * u;
        s01 += x * v;
        s10 += y * u;
        s11 += y * v;
      }
      const at = row * out.stride + j;
      sums[at]! += s00;
      sums[at + 1]! += s01;
      if (second === first) continue;
      sums[at + out.stride]! += s10;
      sums[at + out.stride + 1]! += s11;
    }
  }
}
