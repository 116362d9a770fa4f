// The methods that are compared, each as the commands that a user would run. A method is named by what it is:
//
//   preset                  llama.cpp's preset, byte for byte what llama-quantize writes
//   preset+imatrix          the same with importance data of the calibration text
//   pare                    pare quantize --size at the bytes of preset+imatrix
//   pare --without recovery … any further words are passed on
//   pare at -15%            at so much fewer bytes, counted in decoder bytes
import { METHOD_PARTS } from "../../dist/passes/quantize/method-parts.js";
import { runPare } from "./run-command.mjs";

export const METHODS = [
  "preset",
  "preset+imatrix",
  "pare",
  "pare at -15%",
  ...["fast", "high"].map((effort) => `pare --effort ${effort}`),
  ...METHOD_PARTS.map((part) => `pare --without ${part}`),
];

/** What stands for a file in a command until it is run. */
export const PLACES = { input: "IN", output: "OUT", text: "TEXT", importance: "IMATRIX" };

/**
 * Commands of llama.cpp's side.
 *
 * @param choices further words, such as --token-embedding-type q8_0
 */
export function presetCommands(model, preset, { importance, choices = [] }) {
  const words = ["quantize", PLACES.input, PLACES.output, "--type", preset, ...choices];
  if (!importance) return [words];
  return [calibrateCommand(model), [...words, "--imatrix", PLACES.importance]];
}

/** The importance data of the calibration text. */
export function calibrateCommand(model) {
  const special = model.isChat ? ["--parse-special"] : [];
  return ["calibrate", PLACES.input, PLACES.text, "--output", PLACES.importance, ...windowWords(model), ...special];
}

/**
 * The command of Pare's side.
 *
 * @param sizeBytes the file may have at most
 * @param pins types of tensors that are not Pare's choice: { name, type }
 */
export function pareCommands(model, method, { sizeBytes, pins = [] }) {
  const special = model.isChat ? ["--parse-special"] : [];
  const pinned = pins.flatMap(({ name, type }) => ["--tensor-type", `^${escaped(name)}$=${type}`]);
  const fixed = ["--size", `${sizeBytes}B`, "--calibrate", PLACES.text, ...windowWords(model), ...special];
  return [["quantize", PLACES.input, PLACES.output, ...fixed, ...pinned, ...furtherWords(method)]];
}

/** @returns why a method can't be run, or undefined: this build's own help has to know every option of it */
export async function whyUnavailable(method) {
  if (!isPare(method)) return undefined;
  const help = (await runPare(["quantize", "--help"])).output;
  const options = ["--size", "--calibrate", ...furtherWords(method).filter((word) => word.startsWith("--"))];
  const missing = options.find((option) => !help.includes(option));
  return missing && `pare quantize has no ${missing}`;
}

export function isPare(method) {
  return method === "pare" || method.startsWith("pare ");
}

/** @returns the share of decoder bytes that a method does without: 0.15 for "pare at -15%" */
export function decoderShareLess(method) {
  return Number(/ at -(\d+)%/.exec(method)?.[1] ?? 0) / 100;
}

function furtherWords(method) {
  return method.split(" at ")[0].split(" ").slice(1);
}

function windowWords({ contextLength }) {
  return ["--context", `${contextLength}`];
}

function escaped(text) {
  return text.replaceAll(/[.\\^$*+?()[\]{}|]/g, "\\$&");
}
