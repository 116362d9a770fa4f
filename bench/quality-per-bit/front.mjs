// The front as a picture: divergence over file size, one panel per model and table, drawn with d3-scale and without a
// browser. Shapes tell the methods apart as well as colours do.
import { scaleLinear, scaleLog } from "d3-scale";

const PANEL = { width: 460, height: 340, left: 62, right: 16, top: 44, bottom: 46 };
const LEGEND_LINE = 18;
const COLOURS = ["#767676", "#1b6ca8", "#c8431b", "#3f7d20", "#8a3ffc", "#9f1853", "#00707a", "#946c00"];
const SHAPES = [
  "M-4-4H4V4H-4Z",
  "M0-5L5 4H-5Z",
  "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z",
  "M0-5L5 0L0 5L-5 0Z",
  "M-5-4H5L0 5Z",
];
const TITLES = { a: "embedding and output as in the preset", b: "everything free" };

/** @param rows those of table.mjs */
export function renderFront(rows) {
  const panels = [...new Set(rows.map(({ model, table }) => `${model}\n${table}`))].map((key) => {
    const [model, table] = key.split("\n");
    return { model, table, rows: rows.filter((row) => row.model === model && row.table === table) };
  });
  const methods = [...new Set(rows.map(({ method }) => method))];
  const columns = Math.min(2, panels.length);
  const legendHeight = LEGEND_LINE * Math.ceil(methods.length / columns) + 16;
  const width = columns * PANEL.width;
  const height = Math.ceil(panels.length / columns) * PANEL.height + legendHeight;
  const drawn = panels.map((panel, i) => {
    const [x, y] = [(i % columns) * PANEL.width, Math.floor(i / columns) * PANEL.height];
    return `<g transform="translate(${x} ${y})">${renderPanel(panel, methods)}</g>`;
  });
  const legend = methods.map((method, i) => {
    const [x, y] = [
      PANEL.left + (i % columns) * PANEL.width,
      height - legendHeight + LEGEND_LINE * Math.floor(i / columns),
    ];
    return `<g transform="translate(${x} ${y})">${mark(i)}<text x="12" y="4">${escaped(method)}</text></g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="#fff"/>
${drawn.join("\n")}
${legend.join("\n")}
</svg>
`;
}

function renderPanel({ model, table, rows }, methods) {
  const [left, right, top, bottom] = [PANEL.left, PANEL.width - PANEL.right, PANEL.top, PANEL.height - PANEL.bottom];
  const sizes = rows.map(({ cell }) => cell.sizeBytes / 1e6);
  const divergences = rows.map(({ cell }) => cell.heldOut.divergence);
  const x = scaleLinear([Math.min(...sizes) * 0.98, Math.max(...sizes) * 1.02], [left, right]);
  const y = scaleLog([Math.min(...divergences) / 1.3, Math.max(...divergences) * 1.3], [bottom, top]);
  const at = ({ cell }) => [px(x(cell.sizeBytes / 1e6)), px(y(cell.heldOut.divergence))];
  const lines = methods.map((method, i) => {
    const points = rows.filter((row) => row.method === method).sort((a, b) => a.cell.sizeBytes - b.cell.sizeBytes);
    const path = points.map((row, n) => `${n === 0 ? "M" : "L"}${at(row).join(" ")}`).join("");
    const marks = points.map((row) => `<g transform="translate(${at(row).join(" ")})">${mark(i, factsOf(row))}</g>`);
    return `<path d="${path}" fill="none" stroke="${COLOURS[i % COLOURS.length]}" stroke-opacity="0.5"/>${marks.join("")}`;
  });
  return `<text x="${left}" y="18" font-weight="600">${escaped(model)}</text>
<text x="${left}" y="34" fill="#555">${TITLES[table]}</text>
${yAxis(y, left, right)}${xAxis(x, left, right, bottom)}
${lines.join("\n")}`;
}

function yAxis(y, left, right) {
  return decades(y.domain())
    .map((tick) => {
      const at = px(y(tick));
      return `<line x1="${left}" x2="${right}" y1="${at}" y2="${at}" stroke="#ddd"/><text x="${left - 6}" y="${at + 4}" text-anchor="end">${tick}</text>`;
    })
    .join("");
}

function xAxis(x, left, right, bottom) {
  const ticks = x
    .ticks(6)
    .map((tick) => `<text x="${px(x(tick))}" y="${bottom + 18}" text-anchor="middle">${tick}</text>`);
  return `<line x1="${left}" x2="${right}" y1="${bottom}" y2="${bottom}" stroke="#555"/>${ticks.join("")}
<text x="${right}" y="${bottom + 36}" text-anchor="end" fill="#555">file, MB; upwards: mean KL divergence, held-out text</text>`;
}

function mark(i, title) {
  return `<path d="${SHAPES[i % SHAPES.length]}" fill="${COLOURS[i % COLOURS.length]}">${title ? `<title>${escaped(title)}</title>` : ""}</path>`;
}

function factsOf({ method, size, label, cell }) {
  return `${method}, ${label ?? size}: ${cell.sizeBytes} bytes, ${cell.heldOut.divergence.toPrecision(3)}`;
}

/** 1, 2 and 5 of each decade within the domain. */
function decades([low, high]) {
  const ticks = [];
  for (let exponent = Math.floor(Math.log10(low)); exponent <= Math.log10(high); exponent++)
    for (const digit of [1, 2, 5]) ticks.push(Number((digit * 10 ** exponent).toPrecision(1)));
  return ticks.filter((tick) => tick >= low && tick <= high);
}

function px(value) {
  return Math.round(value * 10) / 10;
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
