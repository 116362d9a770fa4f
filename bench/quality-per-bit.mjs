// How close a file of so many bytes stays to the full-precision model: llama.cpp's presets, with and without importance
// data, beside Pare's own choice of types and rounding.
//
//   npm run build
//   node bench/quality-per-bit.mjs [--models stories15M,minimind2-small,SmolLM2-135M] [--sizes Q3_K_M,IQ4_XS,Q4_K_M,Q5_K_M]
//     [--methods preset,preset+imatrix,pare,…] [--tables a,b] [--smollm2 BASELINE.gguf] [--work FOLDER] [--out out/quality-per-bit]
//
// SmolLM2's baseline is what decode-and-perturb.mjs makes. Table a holds embedding and output to the preset's types on both
// sides and asks for the bytes of preset+imatrix; in table b everything is free, and llama.cpp's side is the best of its
// options within the same bytes. Everyone reads the same calibration text; what is reported is KL divergence from the
// full-precision model on held-out text of the same kind and on text of another kind, weights not repacked. Texts, models
// and results are kept in the work folder by hash, so a run that was stopped goes on. Written are a table (.md, also
// printed), the numbers (.json) and the front (.svg).
import { mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";

import { sha256File } from "../dist/support/files.js";
import { Cache, codeHash } from "./quality-per-bit/cache.mjs";
import { renderFront } from "./quality-per-bit/front.mjs";
import { bestFreeChoice } from "./quality-per-bit/free-choice.mjs";
import { Laboratory } from "./quality-per-bit/measure.mjs";
import {
  METHODS,
  decoderShareLess,
  isPare,
  pareCommands,
  presetCommands,
  whyUnavailable,
} from "./quality-per-bit/methods.mjs";
import { benchModels } from "./quality-per-bit/models.mjs";
import { meansOf, renderTables } from "./quality-per-bit/table.mjs";
import { textsOf } from "./quality-per-bit/texts.mjs";

const { values: options } = parseArgs({
  options: {
    models: { type: "string" },
    sizes: { type: "string", default: "Q3_K_M,IQ4_XS,Q4_K_M,Q5_K_M" },
    methods: { type: "string", default: METHODS.join(",") },
    tables: { type: "string", default: "a,b" },
    smollm2: { type: "string" },
    work: { type: "string", default: join(tmpdir(), "pare-quality-per-bit") },
    out: { type: "string", default: "out/quality-per-bit" },
    threads: { type: "string", default: "2" },
    windows: { type: "string" }, // fewer, to try something quickly
  },
});
const [sizes, tables] = [options.sizes.split(","), options.tables.split(",")];
const cache = new Cache(join(options.work, "results"));
const code = codeHash();
const methods = await availableMethods(options.methods.split(","));
const [rows, inputs] = [[], []];
for (const model of await chosenModels()) {
  for (const size of sizes) rows.push(...(await rowsOf(laboratoryOf(model), size)));
  inputs.push(inputOf(model));
}
writeResults();
process.exit(0); // the engine that wrote text keeps threads

async function availableMethods(wanted) {
  const found = [];
  for (const method of wanted) {
    const reason =
      isPare(method) || METHODS.includes(method) ? await whyUnavailable(method) : "there is no such method";
    if (reason) console.error(`SKIPPED ${method}: ${reason}`);
    else found.push(method);
  }
  return found;
}

async function chosenModels() {
  const available = benchModels({ smolLm2: options.smollm2 });
  const names = options.models?.split(",") ?? available.map(({ name }) => name);
  const models = [];
  for (const name of names) {
    const model = available.find((each) => each.name === name);
    if (!model) console.error(`SKIPPED ${name}: its file is not there`);
    else models.push({ ...model, sha256: await sha256File(model.path), texts: await textsOf(model, textOptions()) });
  }
  return models;
}

function textOptions() {
  return { folder: join(options.work, "texts"), threads: Number(options.threads) };
}

function laboratoryOf(model) {
  const windowsMax = options.windows === undefined ? undefined : Number(options.windows);
  return new Laboratory(model, { cache, folder: options.work, threads: Number(options.threads), windowsMax });
}

/** All rows of one model at one size. */
async function rowsOf(laboratory, size) {
  const { model } = laboratory;
  const say = (text) => console.error(`${model.name}, ${size}, ${text}`);
  say("preset+imatrix");
  const reference = await laboratory.cell(presetCommands(model, size, { importance: true }), { keep: true });
  const found = [];
  if (tables.includes("a")) {
    for (const method of methods) {
      say(method);
      const cell = method === "preset+imatrix" ? reference : await pinnedCell(laboratory, size, method, reference);
      found.push({ table: "a", model: model.name, size, method, cell, reference });
    }
  }
  if (tables.includes("b")) found.push(...(await freeRows(laboratory, size, reference.sizeBytes, say)));
  return found;
}

function pinnedCell(laboratory, size, method, reference) {
  const { model } = laboratory;
  if (method === "preset") return laboratory.cell(presetCommands(model, size, { importance: false }), { keep: true });
  const sizeBytes = Math.floor(reference.sizeBytes - decoderShareLess(method) * reference.decoderBytes);
  return laboratory.cell(pareCommands(model, method, { sizeBytes, pins: reference.ends }), { code, keep: true });
}

async function freeRows(laboratory, size, sizeBytes, say) {
  const { model } = laboratory;
  const best = await bestFreeChoice(laboratory, sizeBytes, (text) => say(`llama.cpp's options, ${text}`));
  const shared = { table: "b", model: model.name, size, reference: best };
  const found = [{ ...shared, method: "best of llama.cpp", label: best.label, cell: best }];
  for (const method of methods.filter((each) => isPare(each) && !decoderShareLess(each))) {
    say(`${method}, free`);
    const cell = await laboratory.cell(pareCommands(model, method, { sizeBytes }), { code, keep: true });
    found.push({ ...shared, method, cell });
  }
  return found;
}

function inputOf({ name, path, sha256, contextLength, isChat, texts }) {
  const described = Object.entries(texts).map(([kind, text]) => {
    const { path: file, windows, tokens, sha256: hash } = text;
    return [kind, { path: file, windows, tokens, sha256: hash }];
  });
  return { name, path, sha256, contextLength, isChat, texts: Object.fromEntries(described) };
}

function writeResults() {
  const markdown = renderTables(rows);
  mkdirSync(dirname(options.out), { recursive: true });
  const means = tables.map((table) => ({ table, means: meansOf(rows.filter((row) => row.table === table)) }));
  const cells = rows.map(({ reference: _reference, ...row }) => row);
  writeFileSync(`${options.out}.json`, JSON.stringify({ inputs, means, cells }, undefined, 1));
  writeFileSync(`${options.out}.md`, markdown);
  if (rows.length > 0) writeFileSync(`${options.out}.svg`, renderFront(rows));
  console.log(markdown);
}
