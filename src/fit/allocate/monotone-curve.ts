// A curve through noisy points that never falls: points out of order are pooled (isotonic regression by pooling adjacent
// violators; Ayer et al., 1955, Annals of Mathematical Statistics 26), straight lines join them, and beyond the ends it
// goes on with a given slope.

export interface CurvePoint {
  readonly x: number;
  readonly y: number;
  /** How much the point counts where points are pooled; above 0. Default 1. */
  readonly weight?: number;
}

interface Pool {
  /** The point's own place, and that of the last point that was pooled with it. */
  readonly start: number;
  readonly end: number;
  readonly y: number;
  readonly weight: number;
}

/** A function y(x) that never falls. */
export type MonotoneCurve = (x: number) => number;

/**
 * The curve through these points.
 *
 * @param points in any order, at least one
 * @param slope beyond the ends, not negative
 * @throws {RangeError} without a point
 */
export function monotoneCurve(points: readonly CurvePoint[], slope: number): MonotoneCurve {
  const corners = pooled(points).flatMap(({ start, end, y }) =>
    start === end
      ? [{ x: start, y }]
      : [
          { x: start, y },
          { x: end, y },
        ],
  );
  const [first, last] = [corners[0], corners.at(-1)];
  if (!first || !last) throw new RangeError("Cannot draw a curve without a point");
  return (x) => {
    if (x <= first.x) return first.y + slope * (x - first.x);
    if (x >= last.x) return last.y + slope * (x - last.x);
    const after = corners.findIndex((corner) => corner.x >= x);
    const [a, b] = [corners[after - 1]!, corners[after]!];
    return a.y + ((b.y - a.y) * (x - a.x)) / (b.x - a.x);
  };
}

/** Pools of points, each no lower than the one before. Points at one x are one. */
function pooled(points: readonly CurvePoint[]): Pool[] {
  const pools: Pool[] = [];
  for (const { x, y, weight = 1 } of [...points].sort((a, b) => a.x - b.x)) {
    let pool: Pool = { start: x, end: x, y, weight };
    for (let before = pools.at(-1); before && (before.y > pool.y || before.end === x); before = pools.at(-1)) {
      const weightBoth = before.weight + pool.weight;
      const mean = (before.weight * before.y + pool.weight * pool.y) / weightBoth;
      pool = { start: before.start, end: pool.end, y: mean, weight: weightBoth };
      pools.pop();
    }
    pools.push(pool);
  }
  return pools;
}
