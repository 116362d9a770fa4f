// One view of the front as SVG, drawn without a browser. Shapes, not only colours, tell where a point stands.
import type { Certificate, Estimate } from "../fit/certificate.js";
import { formatBytes } from "../support/units.js";
import { type PlotPoint, type Standing, type XAxis, type YAxis, X_AXES, Y_AXES, frontOf } from "./front-points.js";
import { type Html, html } from "./html.js";
import { LabelPlacer } from "./label-placer.js";
import { percent } from "./numbers.js";
import { type Scale, xScale, yScale } from "./plot-scales.js";

/** Two shapes of the same plot: one for a page, one for a phone. */
export const FORMATS = {
  wide: { width: 960, height: 470, xTicks: 8, yTicks: 6 },
  narrow: { width: 360, height: 400, xTicks: 4, yTicks: 6 },
} as const;

export interface PlotView {
  x: XAxis;
  y: YAxis;
  format: keyof typeof FORMATS;
}

interface Frame {
  left: number;
  right: number;
  top: number;
  bottom: number;
  x: Scale;
  y: Scale;
}

/** Draws one view. Points without a value on either axis are left out. */
export function frontPlot(certificate: Certificate, points: readonly PlotPoint[], view: PlotView): Html {
  const { width, height } = FORMATS[view.format];
  const placed = points.filter((point) => point[view.x] !== undefined && point[view.y] !== undefined);
  const front = frontOf(placed, view.x, view.y);
  const limit = limitOf(certificate, view.x);
  const [left, right, top, bottom] = [62, width - 20, 36, height - 52];
  const frame: Frame = {
    left,
    right,
    top,
    bottom,
    x: xScale(placed, view.x, limit, [left, right]),
    y: yScale(placed, view.y, certificate.bar.keep, [bottom, top]),
  };
  const at = (point: PlotPoint) =>
    [px(frame.x.position(point[view.x]!)), px(frame.y.position(point[view.y]!.mean))] as const;
  return html`<svg
    class="plot ${view.format}"
    viewBox="0 0 ${width} ${height}"
    role="group"
    aria-label="${X_AXES[view.x].title} against ${Y_AXES[view.y].title}, ${placed.length} points"
  >
    ${axes(frame, view)} ${view.y === "kept" && barLine(frame, certificate.bar.keep)}
    ${limit !== undefined && limitLine(frame, limit)}
    <path class="front" aria-hidden="true" d="${staircase(front.map(at))}" />
    ${onTop(placed).map((point) => mark(point, at(point), point[view.y]!, frame.y))}
    <g class="labels" aria-hidden="true">${labels(frame, placed, front, at)}</g>
  </svg>`;
}

/** The shape of a standing around 0, 0; also the legend's. */
export function shape(standing: Standing): Html {
  switch (standing) {
    case "winner":
      return html`<circle r="9.5" class="ring" /><circle r="5.5" />`;
    case "baseline":
      return html`<rect x="-5" y="-5" width="10" height="10" />`;
    case "clears":
      return html`<circle r="4.5" />`;
    case "undecided":
      return html`<circle r="5" class="hollow" /><circle r="1.8" />`;
    case "screened":
      return html`<path class="hollow" d="M0-5L5 0L0 5L-5 0Z" />`;
    case "does-not-fit":
      return html`<path d="M-4.5-4.5L4.5 4.5M-4.5 4.5L4.5-4.5" />`;
    default:
      return html`<circle r="4.5" class="hollow" />`;
  }
}

function axes({ left, right, bottom, x, y }: Frame, view: PlotView): Html {
  const { xTicks, yTicks, height } = FORMATS[view.format];
  const yLine = (tick: number) => {
    const position = px(y.position(tick));
    return html`<line x1="${left}" x2="${right}" y1="${position}" y2="${position}" />
      <text x="${left - 8}" y="${position + 4}" text-anchor="end">${y.tickText(tick)}</text>`;
  };
  const xLine = (tick: number) => {
    const position = px(x.position(tick));
    return html`<line x1="${position}" x2="${position}" y1="${bottom}" y2="${bottom + 5}" />
      <text x="${position}" y="${bottom + 20}" text-anchor="middle">${x.tickText(tick)}</text>`;
  };
  const titleOf = (axis: { title: string; shortTitle: string }) =>
    view.format === "wide" ? axis.title : axis.shortTitle;
  return html`<g class="grid" aria-hidden="true">
      ${y.ticks(yTicks).map(yLine)} ${x.ticks(xTicks).map(xLine)}
      <line class="axis" x1="${left}" x2="${right}" y1="${bottom}" y2="${bottom}" />
    </g>
    <g class="titles" aria-hidden="true">
      <text x="0" y="14">${titleOf(Y_AXES[view.y])}</text>
      <text x="${right}" y="${height - 8}" text-anchor="end">${titleOf(X_AXES[view.x])}${x.unit && `, ${x.unit}`}</text>
    </g>`;
}

function barLine({ left, right, y }: Frame, keep: number): Html {
  const position = px(y.position(keep));
  return html`<g class="bar" aria-hidden="true">
    <line x1="${left}" x2="${right}" y1="${position}" y2="${position}" />
    <text x="${right}" y="${position + 15}" text-anchor="end"
      >bar ${percent(keep, Number.isInteger(keep * 100) ? 0 : 1)}</text
    >
  </g>`;
}

function limitLine({ left, right, top, bottom, x }: Frame, limit: number): Html | false {
  const position = px(x.position(limit));
  if (!(position > left && position < right)) return false;
  return html`<g class="limit" aria-hidden="true">
    <line x1="${position}" x2="${position}" y1="${top - 8}" y2="${bottom}" />
    <text x="${position + 5}" y="${bottom - 8}">limit ${formatBytes(limit)}</text>
  </g>`;
}

function mark(point: PlotPoint, [cx, cy]: readonly [number, number], interval: Estimate, y: Scale): Html {
  const [low, high] = [y.position(interval.low), y.position(interval.high)];
  return html`<g
    class="point k-${point.standing}"
    transform="translate(${cx} ${cy})"
    tabindex="0"
    role="img"
    data-row="${point.row}"
    aria-label="${point.facts.join("; ")}"
    ><title>${point.facts.join("\n")}</title
    >${low - high > 1 && html`<line class="interval" y1="${px(low - cy)}" y2="${px(high - cy)}" />`}${shape(point.standing)}<circle
      class="hit"
      r="13"
  /></g>`;
}

/** Names of the winner, the baseline and the points on the front, where there is room. */
function labels(
  frame: Frame,
  placed: readonly PlotPoint[],
  front: readonly PlotPoint[],
  at: (point: PlotPoint) => readonly [number, number],
): Html[] {
  const placer = new LabelPlacer({
    left: frame.left,
    right: frame.right + 20,
    top: frame.top - 8,
    bottom: frame.bottom,
  });
  for (const point of placed) placer.block(...at(point), 6);
  const rank = (point: PlotPoint) => (point.standing === "winner" ? 0 : point.standing === "baseline" ? 1 : 2);
  const named = placed.filter((point) => rank(point) < 2 || front.includes(point)).sort((a, b) => rank(a) - rank(b));
  return named.flatMap((point) => {
    const place = placer.place(point.label, ...at(point), point.standing === "winner");
    if (!place) return [];
    return html`<text class="k-${point.standing}" x="${px(place.x)}" y="${px(place.y)}" text-anchor="${place.anchor}">
      ${place.text}
    </text>`;
  });
}

/** The winner is drawn last, so that nothing hides it. */
function onTop(points: readonly PlotPoint[]): PlotPoint[] {
  return [...points].sort((a, b) => Number(a.standing === "winner") - Number(b.standing === "winner"));
}

function limitOf(certificate: Certificate, x: XAxis): number | undefined {
  if (x === "memory") return certificate.device.memoryBytes;
  return x === "size" ? certificate.device.storageBytes : undefined;
}

/** What the best point so far reaches, at each x. */
function staircase(points: readonly (readonly [number, number])[]): string {
  return points.map(([x, y], i) => (i === 0 ? `M${x} ${y}` : `H${x}V${y}`)).join("");
}

function px(value: number): number {
  return Math.round(value * 10) / 10;
}
