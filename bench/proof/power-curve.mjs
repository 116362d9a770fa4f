// How often, and how soon, does a trial find out? Candidates of every true quality, with the bar at 95 %, on a task of 1 500 cases.
// Prints the table of docs/design/statistics.md and draws docs/power-curve.svg.
//
//   npm run build && node bench/proof/power-curve.mjs
import { writeFileSync } from "node:fs";

import { scaleLinear } from "d3-scale";

import { Contention } from "../../dist/evaluate/contention.js";
import { runPairedTrial } from "../../dist/evaluate/paired-trial.js";
import { ALPHA } from "../../dist/fit/statistic.js";
import { Random } from "../../dist/support/random.js";

const CASES = 1500;
const KEEP = 0.95;
const TRIALS = 400;
const KEPT = [0.88, 0.9, 0.92, 0.93, 0.94, 0.949, 0.955, 0.96, 0.97, 0.98, 0.99, 1];
const LIMITS = [0.1, 0.25, 0.5];
const BASELINE_SCORE = 0.8;
const WON_SHARE = 0.02; // of all cases, beside what is lost

const rows = [];
for (const kept of KEPT) rows.push({ kept, ...(await power(kept)) });
console.log(
  `| truly kept | ${LIMITS.map((limit) => `accepted within ${100 * limit} %`).join(" | ")} | cases to a verdict, median |`,
);
console.log(`| --- | ${LIMITS.map(() => "---").join(" | ")} | --- |`);
for (const { kept, accepted, median } of rows) {
  console.log(
    `| ${(100 * kept).toFixed(1)} % | ${accepted.map((share) => `${(100 * share).toFixed(1)} %`).join(" | ")} | ${median} |`,
  );
}
writeFileSync(new URL("../../docs/power-curve.svg", import.meta.url), draw(rows));

async function power(kept) {
  const cases = population(kept);
  const counts = [];
  for (let seed = 0; seed < TRIALS; seed++) {
    const question = { cases, keep: KEEP, size: CASES, alpha: ALPHA, drawsMax: CASES, contention: new Contention() };
    const { sequence, draws } = await runPairedTrial({ ...question, random: new Random(seed) }, async (batch) => batch);
    counts.push({ isAccepted: sequence.standing === "clears", cases: draws.length });
  }
  const accepted = LIMITS.map(
    (limit) => counts.filter((one) => one.isAccepted && one.cases <= limit * CASES).length / TRIALS,
  );
  return { accepted, median: counts.map((one) => one.cases).sort((a, b) => a - b)[TRIALS / 2] };
}

/** Exactly as many wins and losses as make the share kept. */
function population(kept) {
  const right = Math.round(BASELINE_SCORE * CASES);
  const won = Math.round(WON_SHARE * CASES);
  const lost = Math.round(right * (1 - kept)) + won;
  return Array.from({ length: CASES }, (_, id) => {
    const baseline = id < right ? 1 : 0;
    return { id, tags: [], baseline, candidate: baseline ? (id < lost ? 0 : 1) : id < right + won ? 1 : 0 };
  });
}

function draw(points) {
  const [width, height, left, bottom] = [640, 320, 56, 44];
  const x = scaleLinear()
    .domain([KEPT[0], 1])
    .range([left, width - 130]);
  const y = scaleLinear()
    .domain([0, 1])
    .range([height - bottom, 16]);
  const colors = ["#7a5195", "#2f6f9f", "#2f8f5b"];
  const text = (px, py, words, extra = "") =>
    `<text x="${px.toFixed(1)}" y="${py.toFixed(1)}" ${extra}>${words}</text>`;
  const ticks = [
    ...x
      .ticks(6)
      .map((tick) => text(x(tick), height - bottom + 18, `${Math.round(100 * tick)} %`, 'text-anchor="middle"')),
    ...y.ticks(5).map((tick) => text(left - 8, y(tick) + 4, `${Math.round(100 * tick)} %`, 'text-anchor="end"')),
    ...y.ticks(5).map((tick) => `<path d="M${left} ${y(tick)}H${width - 130}" stroke="#8884" fill="none"/>`),
  ];
  const curves = LIMITS.map((limit, index) => {
    const path = points.map(
      ({ kept, accepted }, i) => `${i ? "L" : "M"}${x(kept).toFixed(1)} ${y(accepted[index]).toFixed(1)}`,
    );
    const label = text(
      width - 122,
      y(points.at(-1).accepted[index]) + 4,
      `within ${100 * limit} %`,
      `fill="${colors[index]}"`,
    );
    return `<path d="${path.join("")}" fill="none" stroke="${colors[index]}" stroke-width="2"/>${label}`;
  });
  const bar = `<path d="M${x(KEEP)} 16V${height - bottom}" stroke="#888" stroke-dasharray="4 3"/>${text(x(KEEP) + 5, 28, "the bar")}`;
  const caption = text(left, height - 6, "share of the score truly kept; accepted within so many of 1 500 cases");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12" fill="#777" role="img" aria-label="Power of a trial by what is truly kept">${[...ticks, bar, ...curves, caption].join("")}</svg>\n`;
}
