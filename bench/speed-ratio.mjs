// How two sides' speeds compare, each measured in rounds of several samples. A virtual machine's speed wanders by more than the
// difference that is looked for, so there are two ratios.
import { median } from "../dist/fit/speed.js";
import { Random } from "../dist/support/random.js";

/** Geometric mean over rounds of the ratio of medians, and its standard error. */
export function meanRatio(mine, yours) {
  const logs = mine.map((samples, round) => Math.log(median(samples) / median(yours[round])));
  const mean = logs.reduce((sum, value) => sum + value, 0) / logs.length;
  const variance = logs.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, logs.length - 1);
  return shown(Math.exp(mean), Math.exp(mean) * Math.sqrt(variance / logs.length));
}

/** Ratio of the speeds at the 90th percentile of all samples; the standard error from 1000 draws of rounds with replacement. */
export function bestRatio(mine, yours) {
  const random = new Random(0);
  const ratioOf = (rounds) => bestTenth(rounds.flatMap((r) => mine[r])) / bestTenth(rounds.flatMap((r) => yours[r]));
  const draws = Array.from({ length: 1000 }, () => ratioOf(mine.map(() => random.integer(mine.length))));
  const mean = draws.reduce((sum, value) => sum + value, 0) / draws.length;
  const variance = draws.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (draws.length - 1);
  return shown(ratioOf([...mine.keys()]), Math.sqrt(variance));
}

function bestTenth(speeds) {
  const sorted = [...speeds].sort((a, b) => b - a);
  return sorted[Math.floor((sorted.length - 1) / 10)];
}

function shown(ratio, standardError) {
  return `${ratio.toFixed(3)} ± ${standardError.toFixed(3)}`;
}
