// The studio's program, as the browser runs it: listens to what runs say, draws them, browses cases, talks to two models at once. It keeps nothing.
export const SCRIPT = String.raw`"use strict";
const one = (selector) => document.querySelector(selector);
const runs = new Map();
let chosen = "";
let cases = [];
let casesShown = 20;

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  made.append(...children.filter((child) => child !== undefined));
  return made;
}
function shape(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}
const bytes = (size) => {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) { size /= 1000; unit++; }
  return Number(size.toPrecision(3)) + " " + units[unit];
};
const percent = (share) => (100 * share).toFixed(1) + " %";
const shortName = (path) => path.split(/[\\/]/).pop();
const standing = ({ verdict, stage }) => verdict === "not-measured" || !verdict ? stage : verdict;

// Light and dark: the system's choice until the reader makes one.
const theme = one("#theme");
const root = document.documentElement;
const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; nameTheme(); });
nameTheme();

// Runs, as they go.
const source = new EventSource("api/events");
source.addEventListener("open", () => setState("live", "live"));
source.addEventListener("error", () => setState("lost", "connection lost, trying again"));
source.addEventListener("run", (event) => {
  const run = JSON.parse(event.data);
  const isNew = !runs.has(run.id);
  runs.set(run.id, run);
  if (!chosen) chosen = run.id;
  listRuns();
  if (run.id === chosen) showRun();
  if (isNew || run.verdict) loadModels();
});
source.addEventListener("ready", () => { one("#no-runs").hidden = runs.size > 0; });
function setState(name, text) {
  one("#state").className = name;
  one("#state").textContent = text;
}

function listRuns() {
  one("#no-runs").hidden = runs.size > 0;
  one("#run-list").replaceChildren(...[...runs.values()].map((run) => {
    const button = element("button", { type: "button", "aria-current": run.id === chosen ? "true" : undefined },
      shortName(run.folder) || run.folder, element("small", {}, (run.state === "ended" ? run.verdict : run.state) + ", " + run.measurements + " measurements"));
    button.addEventListener("click", () => { chosen = run.id; cases = []; listRuns(); showRun(); loadCases(); });
    return element("li", {}, button);
  }));
}

function showRun() {
  const run = runs.get(chosen);
  one("#run").hidden = false;
  one("#verdict").className = "verdict" + (run.verdict ? " v-" + run.verdict.toLowerCase() : "");
  one("#stamp").textContent = run.state === "ended" ? run.verdict : run.state.charAt(0).toUpperCase() + run.state.slice(1);
  one("#run-folder").textContent = run.folder;
  const best = run.candidates.find(({ verdict }) => verdict === "winner");
  one("#headline").textContent = best ? best.name + ", " + bytes(best.sizeBytes) : run.verdict ? "Nothing was found" : run.latest.charAt(0).toUpperCase() + run.latest.slice(1);
  one("#reason").replaceChildren(...(run.state === "interrupted" ? howToGoOn(run) : [run.reason ? run.reason + "." : ""]));
  const terms = shortName(run.baseline) + " on " + shortName(run.task) + " for " + run.device + ": keep " + percent(run.keep) + ", then the smallest " + run.minimize + "; " + Math.round(run.seconds) + " s of measuring so far. ";
  one("#terms").replaceChildren(terms, ...(run.hasReport ? [element("a", { href: "runs/" + run.id + "/report.html" }, "The report")] : []));
  const kinds = [...new Set(run.candidates.map(standing))];
  const select = one("#standing");
  if (kinds.join() !== select.dataset.kinds) {
    const value = select.value;
    select.replaceChildren(new Option("all", ""), ...kinds.map((kind) => new Option(kind.replaceAll("-", " "), kind)));
    select.value = kinds.includes(value) ? value : "";
    select.dataset.kinds = kinds.join();
  }
  offerCandidates(run);
  draw();
}

function howToGoOn({ command }) {
  if (!command) return ["It stopped before its end. The command that began it goes on from there."];
  return ["It stopped before its end, and this goes on from there: ", element("code", {}, command)];
}

function filtered() {
  const run = runs.get(chosen);
  const words = one("#find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const sizes = run.candidates.map(({ sizeBytes }) => Math.log(sizeBytes));
  const [least, most] = [Math.min(...sizes), Math.max(...sizes)];
  const share = Number(one("#largest").value) / 100;
  const limit = share === 1 ? Infinity : Math.exp(least + share * (most - least)) * 1.0001;
  one("#largest-text").textContent = limit === Infinity ? "any size" : bytes(limit);
  const shown = run.candidates.filter((each) =>
    each.sizeBytes <= limit && (!one("#standing").value || standing(each) === one("#standing").value) && words.every((word) => each.name.toLowerCase().includes(word)));
  one("#shown").textContent = shown.length === run.candidates.length ? "" : shown.length + " of " + run.candidates.length;
  return shown;
}

function draw() {
  const run = runs.get(chosen);
  if (!run) return;
  const shown = filtered();
  drawPlot(run, shown);
  one("#rows").replaceChildren(...shown.map((each) =>
    element("tr", { class: "k-" + standing(each), id: "row-" + each.id },
      element("th", { scope: "row" }, each.name),
      element("td", { class: "number" }, bytes(each.sizeBytes)),
      element("td", { class: "number" }, each.divergence === undefined ? "–" : each.divergence.toPrecision(3)),
      keptCell(each),
      element("td", { class: "number" }, each.casesRun ? String(each.casesRun) : "–"),
      element("td", {}, element("span", {}, standing(each).replaceAll("-", " ")), element("small", {}, each.reason || "")))));
}

function keptCell({ kept }) {
  if (!kept) return element("td", { class: "number" }, "–");
  return element("td", { class: "number" }, percent(kept.mean), element("small", {}, (100 * kept.low).toFixed(1) + " to " + percent(kept.high)));
}

// The plot: size across, quality or divergence up.
function drawPlot(run, shown) {
  const plot = one("#plot");
  const [width, height] = [plot.clientWidth || 320, plot.clientHeight || 320];
  const axis = one("#axis").value;
  const value = (each) => axis === "kept" ? each.kept && each.kept.mean : each.divergence > 0 ? Math.log10(each.divergence) : undefined;
  const points = shown.filter((each) => value(each) !== undefined);
  const box = { left: 66, right: width - 14, top: 14, bottom: height - 40 };
  plot.setAttribute("viewBox", "0 0 " + width + " " + height);
  if (points.length === 0) {
    plot.replaceChildren(shape("text", { x: box.left, y: height / 2 }, "Nothing measured yet"));
    return;
  }
  const xs = points.map(({ sizeBytes }) => Math.log(sizeBytes));
  const ys = points.map(value).concat(axis === "kept" ? [run.keep] : []);
  const scale = (values, from, to) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = (high - low || Math.abs(high) * 0.1 || 1) * 0.08;
    return { low: low - room, high: high + room, at: (v) => from + ((v - low + room) / (high - low + 2 * room)) * (to - from) };
  };
  const x = scale(xs, box.left, box.right);
  const y = scale(ys, box.bottom, box.top);
  const parts = [];
  for (const v of roundValues(y.low, y.high)) {
    parts.push(shape("line", { x1: box.left, x2: box.right, y1: y.at(v), y2: y.at(v), stroke: "var(--faint)" }));
    parts.push(shape("text", { x: box.left - 8, y: y.at(v) + 4, "text-anchor": "end" }, axis === "kept" ? percent(v) : (10 ** v).toPrecision(1)));
  }
  for (let i = 0; i <= 4; i++) {
    const size = x.low + (i / 4) * (x.high - x.low);
    const anchor = i === 0 ? "start" : i === 4 ? "end" : "middle";
    if (width > 500 || i % 2 === 0) parts.push(shape("text", { x: x.at(size), y: box.bottom + 20, "text-anchor": anchor }, bytes(Math.exp(size))));
  }
  if (axis === "kept") {
    parts.push(shape("line", { x1: box.left, x2: box.right, y1: y.at(run.keep), y2: y.at(run.keep), stroke: "var(--ink)", "stroke-dasharray": "5 4" }));
    parts.push(shape("text", { x: box.right, y: y.at(run.keep) + 15, "text-anchor": "end" }, "bar " + percent(run.keep)));
  }
  for (const each of points) parts.push(point(each, x.at(Math.log(each.sizeBytes)), y.at(value(each)), axis === "kept" ? y : undefined));
  plot.replaceChildren(...parts);
}

/** Some four values between two, in steps of 1, 2 or 5. */
function roundValues(low, high) {
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough);
  const values = [];
  for (let v = Math.ceil(low / size) * size; v <= high; v += size) values.push(v);
  return values;
}

function point(each, cx, cy, y) {
  const isHollow = ["fails", "screened", "measuring"].includes(standing(each));
  const facts = [each.name, bytes(each.sizeBytes), each.kept ? "keeps " + percent(each.kept.mean) : "", each.divergence === undefined ? "" : "divergence " + each.divergence.toPrecision(3), standing(each)].filter(Boolean);
  const group = shape("g", { class: "point k-" + standing(each) + (isHollow ? " hollow" : "") + (each.stage === "measuring" ? " now" : ""), tabindex: "0", role: "img", "aria-label": facts.join("; ") });
  if (y && each.kept) {
    const clamp = (v) => Math.min(y.high, Math.max(y.low, v));
    group.append(shape("line", { x1: cx, x2: cx, y1: y.at(clamp(each.kept.low)), y2: y.at(clamp(each.kept.high)), stroke: "var(--soft)" }));
  }
  group.append(shape("circle", { cx, cy, r: standing(each) === "winner" ? 7 : 5 }), shape("circle", { class: "hit", cx, cy, r: 14 }));
  if (["winner", "measuring"].includes(standing(each)) || each.isBaseline) {
    const isRight = cx > one("#plot").clientWidth - 150;
    group.append(shape("text", { class: "name", x: cx + (isRight ? -11 : 11), y: cy - 9, "text-anchor": isRight ? "end" : "start" }, each.isBaseline ? "baseline" : each.name));
  }
  const tip = one("#tip");
  const show = () => {
    tip.textContent = facts.join("\n");
    tip.hidden = false;
    tip.style.left = Math.min(cx + 12, Math.max(0, one("#plot").clientWidth - 200)) + "px";
    tip.style.top = Math.max(0, cy - 20) + "px";
  };
  group.addEventListener("pointerenter", show);
  group.addEventListener("focus", show);
  for (const end of ["pointerleave", "blur"]) group.addEventListener(end, () => { tip.hidden = true; });
  return group;
}
for (const id of ["#find", "#standing", "#largest", "#axis"]) one(id).addEventListener("input", draw);
addEventListener("resize", draw);

// Cases of one candidate, with both answers.
function offerCandidates(run) {
  const select = one("#case-candidate");
  const measured = run.candidates.filter(({ stage, casesRun }) => casesRun > 0 && ["selected", "confirmed"].includes(stage));
  const ids = measured.map(({ id }) => id).join();
  if (select.dataset.ids === ids) return;
  select.dataset.ids = ids;
  const value = select.value;
  select.replaceChildren(...measured.map(({ id, name }) => new Option(name, id)));
  const best = measured.find(({ verdict }) => verdict === "winner") || measured[0];
  select.value = measured.some(({ id }) => id === value) ? value : best ? best.id : "";
  one("#cases").hidden = measured.length === 0;
  loadCases();
}
async function loadCases() {
  const candidate = one("#case-candidate").value;
  casesShown = 20;
  cases = candidate ? await (await fetch("api/runs/" + chosen + "/cases?candidate=" + candidate)).json() : [];
  showCases();
}
function showCases() {
  const kind = one("#case-kind").value;
  const words = one("#case-find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = cases.filter((each) => {
    const difference = each.candidate.score - each.baseline.score;
    const text = [each.id, each.asked, each.tags.join(" "), each.candidate.shown].join(" ").toLowerCase();
    return (kind === "" || (kind === "lost" ? difference < 0 : difference > 0)) && words.every((word) => text.includes(word));
  });
  one("#case-count").textContent = shown.length + " of " + cases.length;
  one("#more-cases").hidden = shown.length <= casesShown;
  one("#case-list").replaceChildren(...shown.slice(0, casesShown).map((each) =>
    element("article", { class: "regression " + (each.candidate.score < each.baseline.score ? "lost" : each.candidate.score > each.baseline.score ? "won" : "same") },
      element("h3", {}, each.id + " ", element("small", {}, [each.part, ...each.tags].join(", "))),
      each.asked ? element("pre", { class: "asked", tabindex: "0" }, element("code", {}, each.asked)) : undefined,
      each.expected ? element("p", { class: "expected" }, "Wanted: ", element("code", {}, each.expected)) : undefined,
      element("div", { class: "answers" }, answerOf("Baseline", each.baseline), answerOf("Candidate", each.candidate)))));
}
function answerOf(who, { score, shown }) {
  return element("div", {}, element("h4", {}, who + ", score " + percent(score)), element("pre", { tabindex: "0" }, element("code", {}, shown || "(nothing)")));
}
one("#case-candidate").addEventListener("change", loadCases);
one("#case-kind").addEventListener("change", showCases);
one("#case-find").addEventListener("input", showCases);
one("#more-cases").addEventListener("click", () => { casesShown += 20; showCases(); });

// Two models, one message.
const histories = [[], []];
let talking = null;
async function loadModels() {
  const names = await (await fetch("api/models")).json();
  for (const side of [0, 1]) {
    const select = one("#model-" + side);
    const value = select.value;
    select.replaceChildren(...names.map((name) => new Option(name, name)));
    select.value = names.includes(value) ? value : names[Math.min(side, names.length - 1)] || "";
  }
}
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) if (part !== "data: [DONE]") yield JSON.parse(part.slice(6));
  }
}
async function answer(side, body, signal) {
  const messages = histories[side];
  let text = "";
  try {
    const request = { model: "model", messages, stream: true };
    const address = "api/chat/" + encodeURIComponent(one("#model-" + side).value);
    const response = await fetch(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request), signal });
    if (!response.ok) throw new Error((await response.json()).error.message);
    for await (const event of eventsOf(response)) {
      if (event.error) throw new Error(event.error.message);
      const choice = event.choices[0];
      text += (choice && choice.delta.content) || "";
      body.textContent = text;
    }
  } catch (error) {
    if (error.name !== "AbortError") { body.className = "error"; body.textContent = text + " [" + error.message + "]"; }
  }
  if (text) messages.push({ role: "assistant", content: text });
  else messages.pop();
}
one("#ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (talking) return talking.abort();
  const text = one("#message").value.trim();
  if (!text) return;
  one("#message").value = "";
  talking = new AbortController();
  one("#send").textContent = "Stop";
  const bodies = [0, 1].map(() => element("code", {}, "…"));
  const names = [0, 1].map((side) => one("#model-" + side).value);
  const turn = element("div", { class: "turn" }, element("p", { class: "asked" }, text), element("div", { class: "answers" },
    ...bodies.map((body, side) => element("div", {}, element("h4", {}, names[side]), element("pre", { tabindex: "0" }, body)))));
  one("#talk").append(turn);
  turn.scrollIntoView({ block: "nearest" });
  await Promise.all(bodies.map((body, side) => {
    histories[side].push({ role: "user", content: text });
    return answer(side, body, talking.signal);
  }));
  talking = null;
  one("#send").textContent = "Send";
});
one("#message").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  one("#ask").requestSubmit();
});
one("#fresh").addEventListener("click", () => {
  if (talking) talking.abort();
  histories[0].length = histories[1].length = 0;
  one("#talk").replaceChildren();
});
loadModels();
`;
