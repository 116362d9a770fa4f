// The best that llama.cpp's options reach within a size: presets times types of the token embedding and of the output.
//
// Not every combination is measured. Sizes are known without building; a combination that has another one above it, which
// fits too, spends at least as many bytes on each of embedding, output and blocks, and on one of them clearly more, is left
// out. Divergences of parts nearly add up, so each preset's blocks and each type of an end are measured alone, the rest in
// full precision, once for all sizes; combinations with the smallest sums are measured on a few windows, and the best of
// these on all.
import { GGML_TYPES, rowSizeBytes } from "../../dist/formats/gguf/ggml-types.js";
import { PRESETS } from "../../dist/passes/quantize/presets.js";
import { quantize } from "../../dist/passes/quantize/quantize.js";
import { presetCommands } from "./methods.mjs";
import { isEnd } from "./measure.mjs";

const END_TYPES = ["q2_K", "q3_K", "iq4_xs", "q4_0", "iq4_nl", "q4_K", "q4_1", "q5_0", "q5_K", "q5_1", "q6_K", "q8_0"];
/** Full precision, types for ternary models or for experts, and no quantization. */
const PRESETS_LEFT_OUT = new Set(["f32", "f16", "bf16", "mxfp4_moe", "q1_0", "q2_0", "tq1_0", "tq2_0", "copy"]);
const OPTIONS = { "token_embd.weight": "--token-embedding-type", "output.weight": "--output-tensor-type" };
/** q4_1 takes 1.11 times the bytes of iq4_nl, and without importance data it can be worse. */
const CLEARLY_MORE = 1.12;
const WINDOWS_PARTS = 4;
const SHORTLIST = 12;
const WINDOWS_QUICK = 8;
const FINALISTS = 4;
const FULL = "f16";
const ALIGNMENT_BYTES = 32;

/**
 * @param laboratory of measure.mjs
 * @param sizeBytes most bytes of the file
 * @returns the cell with the least divergence on the held-out text, its `label`, and how many were measured
 */
export async function bestFreeChoice(laboratory, sizeBytes, report = () => undefined) {
  const candidates = await shortlist(laboratory, largest(await affordable(laboratory, sizeBytes)), report);
  const first = await measureAll(laboratory, candidates, sizeBytes, { windowsMax: WINDOWS_QUICK }, report);
  const finalists = first.slice(0, FINALISTS).map(({ candidate }) => candidate);
  const [best] = await measureAll(laboratory, finalists, sizeBytes, {}, report);
  return { ...best.cell, label: best.candidate.label, measured: candidates.length };
}

/** Those whose parts, each measured alone, have the smallest sums. */
async function shortlist(laboratory, candidates, report) {
  const divergenceOf = async (preset, types) => {
    const choices = Object.entries(types).flatMap(([name, type]) => [OPTIONS[name], type]);
    const commands = presetCommands(laboratory.model, preset, { importance: true, choices });
    report([preset, ...Object.values(types)].join(", "));
    return (await laboratory.cell(commands, { windowsMax: WINDOWS_PARTS })).heldOut.divergence;
  };
  for (const candidate of candidates) {
    const full = Object.fromEntries(candidate.ends.map(({ name }) => [name, FULL]));
    candidate.sum = await divergenceOf(candidate.preset, full);
    for (const { name, type } of candidate.ends) candidate.sum += await divergenceOf(FULL, { ...full, [name]: type });
  }
  return candidates.sort((a, b) => a.sum - b.sum).slice(0, SHORTLIST);
}

/** Sorted by divergence. The size was foreseen; should one be too large after all, it is out. */
async function measureAll(laboratory, candidates, sizeBytes, options, report) {
  const measured = [];
  for (const [i, candidate] of candidates.entries()) {
    report(`${i + 1} of ${candidates.length}: ${candidate.label}`);
    const cell = await laboratory.cell(candidate.commands, options);
    if (cell.sizeBytes <= sizeBytes) measured.push({ candidate, cell });
  }
  return measured.sort((a, b) => a.cell.heldOut.divergence - b.cell.heldOut.divergence);
}

/** All combinations that fit, each with the bytes of its parts. */
async function affordable(laboratory, sizeBytes) {
  const { model, cache } = laboratory;
  const importance = await laboratory.requireImportance();
  const found = [];
  for (const { name: preset } of PRESETS) {
    if (PRESETS_LEFT_OUT.has(preset)) continue;
    const { sizeBytes: presetBytes, ends } = await cache.remember("size", { model: model.sha256, preset }, () =>
      foresee(model.path, preset, importance),
    );
    for (const choice of choicesOf(ends)) {
      const bytes = choice.map(({ type, shape }) => padded(bytesOf(type, shape)));
      const endBytes = ends.reduce((total, { type, shape }) => total + padded(bytesOf(type, shape)), 0);
      const blockBytes = presetBytes - endBytes;
      if (blockBytes + bytes.reduce((total, each) => total + each, 0) > sizeBytes) continue;
      const choices = choice.flatMap(({ name, type }) => [OPTIONS[name], type]);
      const label = [preset, ...choice.map(({ name, type }) => `${name.split(".")[0]} ${type}`)].join(", ");
      found.push({
        label,
        preset,
        ends: choice,
        parts: [blockBytes, ...bytes],
        commands: presetCommands(model, preset, { importance: true, choices }),
      });
    }
  }
  return found;
}

/** The dry run needs no importance data to know sizes, but some presets ask for them. */
async function foresee(input, type, importance) {
  const { sizeBytes, tensors } = await quantize({ input, type, importance, dryRun: true });
  const ends = tensors.filter(({ name }) => isEnd(name)).map(({ name, type, shape }) => ({ name, type, shape }));
  return { sizeBytes, ends };
}

/** A type for each of the ends: every combination of those that its rows can hold. */
function choicesOf(ends) {
  return ends.reduce(
    (choices, { name, shape }) => {
      const types = END_TYPES.filter((type) => shape[0] % GGML_TYPES[type].blockSize === 0);
      return choices.flatMap((choice) => types.map((type) => [...choice, { name, type, shape }]));
    },
    [[]],
  );
}

/** Without those that another one is above, part by part. */
function largest(candidates) {
  const isBelow = (a, b) =>
    a.parts.every((part, i) => part <= b.parts[i]) && a.parts.some((part, i) => CLEARLY_MORE * part <= b.parts[i]);
  return candidates.filter((candidate) => !candidates.some((other) => isBelow(candidate, other)));
}

function bytesOf(type, shape) {
  return rowSizeBytes(type, shape[0]) * shape[1];
}

function padded(bytes) {
  return Math.ceil(bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}
