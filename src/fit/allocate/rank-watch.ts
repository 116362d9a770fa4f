// Says when too few tokens were looked at: a Hessian of fewer tokens than columns knows nothing of some directions, in which
// error feedback would push errors without a price, were it not for the damping.
import type { InputStatistics } from "../../calibrate/paired-sums.js";
import type { Effort } from "../../passes/quantize/round/problem.js";
import { formatCount } from "../../support/units.js";
import { windowsFor } from "./calibration-windows.js";
import { EFFORTS } from "./effort.js";
import { DAMPING, dampingOf } from "./rounding-input.js";

/** What is asked of an input: who reads it, how wide it is, and how many rows each matrix's sums have. */
export type WatchedInput = Pick<InputStatistics, "name" | "weights" | "layer" | "columns" | "isRouted"> & {
  readonly counts: ArrayLike<number>;
};

/** Says what would do where so many tokens are wanted, as a sentence. */
export type Remedy = (tokens: number) => string;

/** Sees inputs one after another and keeps what a warning needs of them. */
export class RankWatch {
  readonly #inputs: WatchedInput[] = [];

  see({ name, weights, layer, columns, isRouted, counts }: WatchedInput): void {
    this.#inputs.push({ name, weights, layer, columns, isRouted, counts: Array.from(counts) });
  }

  /** Most rows that entered one matrix: all tokens, where a plain input is among them. */
  get tokensMax(): number {
    return Math.max(0, ...this.#inputs.map(({ counts }) => Math.max(...Array.from(counts))));
  }

  /** At most two: one of all the plain inputs, one of all the experts. */
  warnings(remedy: Remedy): string[] {
    const plain = this.#inputs.filter(({ isRouted }) => !isRouted);
    const routed = this.#inputs.filter(({ isRouted }) => isRouted);
    return [...plainWarning(plain, remedy), ...expertWarning(routed)];
  }
}

/**
 * The remedy where text is given: how much of it, and with which effort where the present one would not look at so much.
 *
 * @param contextLength tokens per window
 */
export function textRemedy(effort: Effort, contextLength: number): Remedy {
  const levels = Object.keys(EFFORTS) as Effort[];
  return (tokens) => {
    const windows = Math.ceil(tokens / contextLength);
    const text = `${formatCount(windowsFor(windows) * contextLength)} tokens of text or more`;
    const enough = levels
      .slice(levels.indexOf(effort))
      .find((level) => Math.floor(EFFORTS[level].statisticsTokens / contextLength) >= windows);
    if (enough === effort) return `${text} would do`;
    return enough === undefined ? "No effort looks at so much text" : `${text} and --effort ${enough} would do`;
  };
}

function plainWarning(inputs: readonly WatchedInput[], remedy: Remedy): string[] {
  const short = inputs.filter(({ columns, counts }) => counts[0]! < columns);
  if (short.length === 0) return [];
  const widest = short.reduce((a, b) => (b.columns > a.columns ? b : a));
  return [
    `${formatCount(widest.counts[0]!)} tokens were looked at, fewer than the ${formatCount(widest.columns)} columns of the widest ` +
      `input ("${widest.name}"): of ${short.length} of ${inputs.length} inputs some directions were never seen, and damping of ` +
      `${dampingText(short)} stands in for what is not known of them. ${remedy(widest.columns)}`,
  ];
}

/** An output matrix that is the embedding, too, has a share of its own. */
function dampingText(inputs: readonly WatchedInput[]): string {
  const own = inputs.find(({ weights }) => dampingOf(weights) !== DAMPING);
  if (!own) return `${100 * DAMPING} % of the mean square`;
  const share = `${100 * dampingOf(own.weights)} %`;
  if (inputs.length === 1) return `${share} of the mean square`;
  return `${100 * DAMPING} % of the mean square (${share} for "${own.name}")`;
}

function expertWarning(inputs: readonly WatchedInput[]): string[] {
  const experts = new Map<string, { input: WatchedInput; expert: number }>();
  for (const input of inputs) {
    for (let expert = 0; expert < input.counts.length; expert++) {
      const key = `${input.layer}/${expert}`;
      const known = experts.get(key);
      if (!known || shareOf(input, expert) < shareOf(known.input, expert)) experts.set(key, { input, expert });
    }
  }
  const short = [...experts.values()].filter(({ input, expert }) => shareOf(input, expert) < 1);
  if (short.length === 0) return [];
  const { input, expert } = short.reduce((a, b) => (shareOf(b.input, b.expert) < shareOf(a.input, a.expert) ? b : a));
  return [
    `${formatCount(short.length)} of ${formatCount(experts.size)} experts saw fewer tokens than their input has columns (the fewest: ` +
      `${formatCount(input.counts[expert]!)} of ${formatCount(input.columns)}, expert ${expert} of "${input.name}"): what is not known of ` +
      `them is taken from their layer's mean. More text would help`,
  ];
}

/** Rows per column: below 1 the Hessian lacks rank. */
function shareOf({ columns, counts }: WatchedInput, matrix: number): number {
  return counts[matrix]! / columns;
}
