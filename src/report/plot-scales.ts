// The scales of the front's axes, from d3-scale. Sizes that span more than a factor of 2.5 are logarithmic, as the question
// is how many times smaller; so is KL divergence; quality is cut below the bar, so that the distances around the bar can be seen.
import { scaleLinear, scaleLog } from "d3-scale";

import type { PlotPoint, XAxis, YAxis } from "./front-points.js";

/** KL divergences below this are drawn at this value: they differ by less than a measurement does. */
const DIVERGENCE_FLOOR = 1e-5;
/** Quality is shown down to this many times the bar's own distance from 1; what is worse is drawn on the lower edge. */
const QUALITY_DEPTH = 9;

export interface Scale {
  position: (value: number) => number;
  ticks: (count: number) => number[];
  /** Text of a tick; the unit is in the axis title. */
  tickText: (value: number) => string;
  unit: string;
}

/** @param limit of the device along this axis; it is taken into view when it is near the points */
export function xScale(points: readonly PlotPoint[], x: XAxis, limit: number | undefined, range: number[]): Scale {
  const values = points.map((point) => point[x]!);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const near = limit !== undefined && limit > least / 1.5 && limit < most * 1.5 ? [limit] : [];
  const [low, high] = [Math.min(least, ...near), Math.max(most, ...near)];
  const pad = (high - low || high) * 0.08;
  const isWide = high > 2.5 * low;
  const scale = isWide
    ? scaleLog()
        .domain([low / 1.15, high * 1.15])
        .range(range)
    : scaleLinear()
        .domain([Math.max(0, low - pad), high + pad])
        .range(range);
  const [unit, unitSize] = x === "latency" ? ["", 1] : most >= 1e9 ? ["GB", 1e9] : ["MB", 1e6];
  return {
    position: (value) => scale(value),
    ticks: isWide ? () => decades(low / 1.15, high * 1.15) : (count) => scale.ticks(count),
    tickText: (value) => plain(value / unitSize),
    unit: [unit, isWide && "logarithmic"].filter(Boolean).join(", "),
  };
}

/** @param keep the bar: the share of quality that must be kept */
export function yScale(points: readonly PlotPoint[], y: YAxis, keep: number, range: number[]): Scale {
  const intervals = points.map((point) => point[y]!);
  if (y === "divergence") {
    const low = Math.max(DIVERGENCE_FLOOR, Math.min(...intervals.map((each) => each.mean)) * 0.7);
    const high = Math.max(low * 10, ...intervals.map((each) => each.high * 1.2));
    const scale = scaleLog().domain([low, high]).range(range).clamp(true);
    return { position: (value) => scale(value), ticks: () => decades(low, high), tickText: plain, unit: "" };
  }
  const floor = keep - QUALITY_DEPTH * Math.max(1 - keep, 0.01);
  const low = Math.max(floor, Math.min(keep, ...intervals.map((each) => each.low)));
  const high = Math.max(1, ...intervals.map((each) => each.high));
  const pad = (high - low) * 0.06;
  const scale = scaleLinear()
    .domain([Math.max(0, low - pad), high + pad])
    .range(range)
    .clamp(true);
  return {
    position: (value) => scale(value),
    ticks: (count) => scale.ticks(count),
    tickText: (value) => `${plain(value * 100)}\u202f%`,
    unit: "",
  };
}

/** Round numbers of a logarithmic axis: every decade, and the more between them the fewer there are. */
function decades(low: number, high: number): number[] {
  const steps = high / low > 100 ? [1] : high / low > 10 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const step of steps) ticks.push(Number(`${step}e${power}`));
  }
  return ticks.filter((tick) => tick >= low && tick <= high);
}

function plain(value: number): string {
  return String(Number(value.toPrecision(6)));
}
