// What the plot of the front shows: one point for the baseline and for each trial with a measured quality, and the axes
// that it can be looked at along.
import type { Certificate, Estimate, TrialRecord } from "../fit/certificate.js";
import { formatBytes } from "../support/units.js";
import { percentRange, percent, percentDecimals, rate, significant } from "./numbers.js";

export type Standing = TrialRecord["verdict"] | "baseline" | "screened";

export interface PlotPoint {
  label: string;
  standing: Standing;
  /** Anchor of its row in the table of trials. */
  row: string;
  /** One fact a line, for the tooltip and for screen readers. */
  facts: string[];
  size: number;
  memory: number;
  /** Milliseconds per decoded token. */
  latency: number | undefined;
  kept: Estimate | undefined;
  divergence: Estimate | undefined;
}

export type XAxis = "size" | "memory" | "latency";
export type YAxis = "kept" | "divergence";

/** `choice` stands on the switch, `title` at the axis, `shortTitle` at the axis on a phone. */
export const X_AXES: Record<XAxis, { choice: string; title: string; shortTitle: string }> = {
  size: { choice: "File size", title: "File size", shortTitle: "File size" },
  memory: { choice: "Memory", title: "Memory in use: weights, KV cache, buffers", shortTitle: "Memory in use" },
  latency: { choice: "Latency", title: "Decode latency, ms per token", shortTitle: "Latency, ms per token" },
};

export const Y_AXES: Record<YAxis, { choice: string; title: string; shortTitle: string }> = {
  kept: { choice: "Quality kept", title: "Share of the baseline’s quality that is kept", shortTitle: "Quality kept" },
  divergence: {
    choice: "KL divergence",
    title: "KL divergence from the baseline, nats per token (lower is better)",
    shortTitle: "KL divergence (lower is better)",
  },
};

/** Words for where a trial stands, as the table and the legend use them. */
export const STANDINGS: Record<Standing, string> = {
  baseline: "baseline",
  winner: "winner",
  clears: "clears the bar",
  undecided: "undecided",
  fails: "fails the bar",
  "does-not-fit": "does not fit",
  screened: "screened only",
  "not-measured": "not measured",
  error: "error",
};

/** A trial that was screened on little text and then left has no quality, but more than nothing. */
export function standingOf(trial: TrialRecord): Standing {
  return trial.verdict === "not-measured" && trial.screenKlDivergence ? "screened" : trial.verdict;
}

/** Every point that has at least one measured quality, the baseline first. */
export function plotPoints(certificate: Certificate): PlotPoint[] {
  const points = certificate.trials.map((trial, index) => trialPoint(trial, index));
  return [baselinePoint(certificate), ...points].filter(
    (point) => point.kept !== undefined || point.divergence !== undefined,
  );
}

/** The id of a trial's row in the table. */
export function rowId(index: number): string {
  return `trial-${index}`;
}

/** The points that nothing else beats on both axes, from left to right. Lower x is better. */
export function frontOf(points: readonly PlotPoint[], x: XAxis, y: YAxis): PlotPoint[] {
  const better = y === "kept" ? (a: number, b: number) => a > b : (a: number, b: number) => a < b;
  const placed = points
    .filter((point) => point[x] !== undefined && point[y] !== undefined)
    .sort((a, b) => a[x]! - b[x]! || (better(a[y]!.mean, b[y]!.mean) ? -1 : 1));
  const front: PlotPoint[] = [];
  for (const point of placed) {
    const last = front.at(-1);
    if (!last || better(point[y]!.mean, last[y]!.mean)) front.push(point);
  }
  return front;
}

function baselinePoint(certificate: Certificate): PlotPoint {
  const { baseline } = certificate;
  const speed = baseline.decodeTokensPerSecond;
  const measured = baseline.quality !== undefined;
  return {
    label: "baseline",
    standing: "baseline",
    row: "trial-baseline",
    facts: [
      `baseline ${baseline.name ?? ""}`.trim(),
      `${formatBytes(baseline.sizeBytes)}, ${formatBytes(baseline.memoryBytes)} in memory`,
      ...(speed ? [`${rate(speed)} tokens per second`] : []),
    ],
    size: baseline.sizeBytes,
    memory: baseline.memoryBytes,
    latency: speed ? 1000 / speed : undefined,
    kept: measured ? { mean: 1, low: 1, high: 1 } : undefined,
    divergence: undefined, // it is 0, which no logarithmic axis has
  };
}

function trialPoint(trial: TrialRecord, index: number): PlotPoint {
  const { quality, speed } = trial;
  const decode = speed?.decodeTokensPerSecond;
  const divergence = quality?.klDivergence ?? trial.screenKlDivergence;
  const half = divergence ? 1.96 * divergence.standardError : 0;
  return {
    label: trial.candidate,
    standing: standingOf(trial),
    row: rowId(index),
    facts: [
      trial.candidate,
      `${formatBytes(trial.sizeBytes)}, ${formatBytes(trial.memoryBytes)} in memory`,
      ...(quality
        ? [`keeps ${percent(quality.kept.mean, percentDecimals(quality.kept))} (${percentRange(quality.kept)})`]
        : []),
      ...(divergence
        ? [`KL divergence ${significant(divergence.mean)} ± ${significant(divergence.standardError)}`]
        : []),
      ...(decode ? [`${rate(decode)} tokens per second, ${speed.source}`] : []),
      `${STANDINGS[standingOf(trial)]}: ${trial.reason}`,
    ],
    size: trial.sizeBytes,
    memory: trial.memoryBytes,
    latency: decode ? 1000 / decode : undefined,
    kept: quality?.kept,
    divergence:
      divergence && divergence.mean > 0
        ? { mean: divergence.mean, low: divergence.mean - half, high: divergence.mean + half }
        : undefined,
  };
}
