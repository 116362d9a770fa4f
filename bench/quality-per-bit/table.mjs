// The cells as Markdown tables, and the geometric means of the ratios that sum them up.

/** A cell that is many times better says more about the cell than about the method. */
const RATIO_FLOOR = 0.2;

/**
 * @param rows { table: "a" | "b", model, size, method, label?, cell, reference? }
 * @returns both tables, each with its means
 */
export function renderTables(rows) {
  const titles = {
    a: "Embedding and output in the preset's types",
    b: "Everything free; llama.cpp's best of presets, embedding and output types within the size",
  };
  return Object.entries(titles)
    .filter(([table]) => rows.some((row) => row.table === table))
    .map(([table, title]) => {
      const own = rows.filter((row) => row.table === table);
      return `### ${title}\n\n${renderRows(own)}\n\n${renderMeans(own)}\n`;
    })
    .join("\n");
}

/**
 * A cell's mean divergence over its reference's on the same windows, with the standard error between windows.
 *
 * @param kind heldOut or outOfDomain
 */
export function ratioOf(cell, reference, kind = "heldOut") {
  const [ours, theirs] = [cell[kind].windowDivergences, reference[kind].windowDivergences];
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const ratio = sum(ours) / sum(theirs);
  const deviations = ours.map((value, i) => (value - ratio * theirs[i]) ** 2);
  const count = ours.length;
  return { ratio, standardError: Math.sqrt((sum(deviations) * count) / (count - 1)) / sum(theirs) };
}

/** By model and method: the geometric mean over the sizes. */
export function meansOf(rows) {
  const groups = grouped(rows);
  return [...groups.values()]
    .filter(([{ reference, cell }]) => reference && reference !== cell)
    .map((group) => {
      const mean = (kind) =>
        Math.exp(
          group.reduce(
            (total, row) => total + Math.log(Math.max(RATIO_FLOOR, ratioOf(row.cell, row.reference, kind).ratio)),
            0,
          ) / group.length,
        );
      const worst = Math.max(...group.map((row) => ratioOf(row.cell, row.reference).ratio));
      const { model, method } = group[0];
      return { model, method, sizes: group.length, heldOut: mean("heldOut"), outOfDomain: mean("outOfDomain"), worst };
    });
}

function renderRows(rows) {
  const heading =
    "model | size of | method | bytes | bits per weight | decoder bytes | KL divergence | ratio | 99 % | same top | perplexity ratio | out of domain | ratio | seconds | peak memory";
  const lines = rows.map(({ model, size, method, label, cell, reference }) => {
    const { heldOut, outOfDomain } = cell;
    const ratio = (kind) => (reference && reference !== cell ? withError(ratioOf(cell, reference, kind)) : "");
    return [
      model,
      size,
      label ? `${method}: ${label}` : method,
      spaced(cell.sizeBytes),
      cell.bitsPerWeight.toFixed(3),
      spaced(cell.decoderBytes),
      `${digits(heldOut.divergence)} ± ${digits(heldOut.standardError, 2)}`,
      ratio("heldOut"),
      digits(heldOut.p99),
      `${(100 * heldOut.sameTopRate).toFixed(1)} %`,
      heldOut.perplexityRatio.toFixed(4),
      `${digits(outOfDomain.divergence)} ± ${digits(outOfDomain.standardError, 2)}`,
      ratio("outOfDomain"),
      cell.seconds.toFixed(1),
      cell.peakBytes ? `${Math.round(cell.peakBytes / 1e6)} MB` : "",
    ];
  });
  return markdown([heading.split(" | "), ...lines], 3);
}

function renderMeans(rows) {
  const means = meansOf(rows);
  if (means.length === 0) return "No method to compare yet.";
  const heading = ["model", "method", "sizes", "geometric mean of ratios", "worst", "out of domain"];
  const lines = means.map(({ model, method, sizes, heldOut, worst, outOfDomain }) => [
    model,
    method,
    `${sizes}`,
    heldOut.toFixed(3),
    worst.toFixed(3),
    outOfDomain.toFixed(3),
  ]);
  return `${markdown([heading, ...lines], 2)}\n\nIn the means no ratio counts as less than ${RATIO_FLOOR}.`;
}

function markdown([heading, ...lines], textColumns) {
  const rule = heading.map((_, i) => (i < textColumns ? "---" : "---:"));
  return [heading, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function grouped(rows) {
  const groups = new Map();
  for (const row of rows) groups.set(groupOf(row), [...(groups.get(groupOf(row)) ?? []), row]);
  return groups;
}

function groupOf({ model, method }) {
  return `${model} ${method}`;
}

function withError({ ratio, standardError }) {
  return `${ratio.toFixed(3)} ± ${standardError.toFixed(3)}`;
}

function digits(value, count = 3) {
  return `${Number(value.toPrecision(count))}`;
}

/** 12 345 678, with narrow spaces. */
function spaced(value) {
  return `${value}`.replaceAll(/\B(?=(\d{3})+$)/g, "\u202f");
}
