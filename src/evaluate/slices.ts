// Quality by slice: the cases of each tag on their own. Looking at many slices, one of them will look bad by chance, so their
// intervals are widened to hold all at once, with the confidence of one (Bonferroni).
import { type PairedDraw, keptSequence } from "./paired-sequence.js";
import type { Interval } from "./statistics.js";

export interface Slice {
  tag: string;
  /** Cases of this tag among those that were drawn. */
  cases: number;
  /** Share of the baseline's score that is kept on the tag's cases. */
  kept: Interval;
}

/**
 * The share kept of each tag. Cases of other tags count as 0 on both sides, so that the draws and their probabilities stay those
 * of the whole, and each interval holds whenever the trial stopped.
 *
 * @param tagsOf tags of each draw
 * @param size cases that the draws stand for, see {@link keptSequence}
 * @param alpha chance that any of the intervals is ever wrong, on each side
 * @returns the worst first: by what is kept, then by what is sure to be kept
 */
export function slicesOf<Draw extends PairedDraw>(
  draws: readonly Draw[],
  tagsOf: (draw: Draw) => readonly string[],
  size: number,
  alpha: number,
): Slice[] {
  const tags = [...new Set(draws.flatMap(tagsOf))];
  return tags
    .map((tag): Slice => {
      const isIn = draws.map((draw) => tagsOf(draw).includes(tag));
      const masked = draws.map((draw, index) => (isIn[index] ? draw : { ...draw, baseline: 0, candidate: 0 }));
      const cases = isIn.filter(Boolean).length;
      return { tag, cases, kept: keptSequence(masked, size, alpha / tags.length) };
    })
    .sort((a, b) => a.kept.mean - b.kept.mean || a.kept.low - b.kept.low || (a.tag < b.tag ? -1 : 1));
}
