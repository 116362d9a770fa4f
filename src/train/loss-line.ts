// The losses of a run as one short line for a terminal: `loss 2.413 ▇▆▄▃▂▂▁▁ validation 2.502`.
import type { Metrics } from "./metrics.js";

const BLOCKS = "▁▂▃▄▅▆▇█";
/** Characters of the curve. */
const COLUMNS = 10;

/** The last loss, the course of all, and the last validation's loss. */
export function lossLine(lines: readonly Metrics[]): string {
  const losses = lines.flatMap((line) => ("loss" in line ? [line.loss] : []));
  const validation = lines.findLast((line) => "validationLoss" in line);
  if (losses.length === 0) return "";
  const parts = [`loss ${losses.at(-1)!.toFixed(3)}`, lossCurve(losses, COLUMNS)];
  if (validation && "validationLoss" in validation) parts.push(`validation ${validation.validationLoss.toFixed(3)}`);
  return parts.join(" ");
}

/** Means of equal stretches as blocks between the lowest and the highest. */
export function lossCurve(losses: readonly number[], columns: number): string {
  const count = Math.min(columns, losses.length);
  const means = Array.from({ length: count }, (_, i) => {
    const part = losses.slice(Math.floor((i * losses.length) / count), Math.floor(((i + 1) * losses.length) / count));
    return part.reduce((sum, loss) => sum + loss, 0) / part.length;
  });
  const low = Math.min(...means);
  const range = Math.max(...means) - low || 1;
  return means.map((mean) => BLOCKS[Math.round(((mean - low) / range) * (BLOCKS.length - 1))]).join("");
}
