// What is learned and how text becomes tokens, against Hugging Face's tokenizers (golden values) and llama.cpp (both ways).
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";

import { afterAll, beforeAll, expect, test } from "vitest";

import { temporaryFolder } from "../../test/command.js";
import { openModel } from "../model/open.js";
import { type Engine, loadEngine } from "../native/engine.js";
import { LlamaModel } from "../native/llama-model.js";
import { Random } from "../support/random.js";
import { BYTE_CHARACTERS, fromByteCharacters, toByteCharacters } from "./byte-alphabet.js";
import { BytePairEncoder } from "./byte-pair-encoder.js";
import { learnMerges } from "./learn-merges.js";
import { learnVocabulary } from "./learn-vocabulary.js";
import { splitWords } from "./words.js";

const golden = JSON.parse(readFileSync(new URL("../../test/golden/byte-pairs.json", import.meta.url), "utf8")) as {
  size: number;
  lines: string[];
  merges: [string, string][];
  texts: { text: string; tokens: string[] }[];
};

function learned(lines: readonly string[], size: number, reserved?: ReadonlySet<string>) {
  const counts = new Map<string, number>();
  for (const word of lines.flatMap(splitWords)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return learnMerges(counts, { size, ...(reserved && { reserved }) });
}

function encoderOf(lines: readonly string[], size: number): BytePairEncoder {
  const { tokens, pairs } = learned(lines, size);
  return new BytePairEncoder({ tokens, merges: pairs, control: [] });
}

test("every byte has a character of its own, and back", () => {
  expect(new Set(BYTE_CHARACTERS).size).toBe(256);
  const text = "Ġ \n\u0000é日😀";
  expect(new TextDecoder().decode(fromByteCharacters(toByteCharacters(text)))).toBe(text);
  expect(() => fromByteCharacters("日")).toThrow('"日" stands for no byte');
});

test("words put together are the text", () => {
  for (const { text } of golden.texts) expect(splitWords(text).join("")).toBe(text);
});

test("learnMerges() learns what Hugging Face's tokenizers learns, pair for pair", () => {
  expect(learned(golden.lines, golden.size).pairs).toEqual(golden.merges);
});

test.each(golden.texts)("encode() gives the tokens of Hugging Face's tokenizers: $text", ({ text, tokens }) => {
  const { tokens: names, pairs } = learned(golden.lines, golden.size);
  const encoder = new BytePairEncoder({ tokens: names, merges: pairs, control: [] });
  const ids = encoder.encode(text);
  expect(ids.map((id) => names[id])).toEqual(tokens);
  expect(encoder.decode(ids)).toBe(text);
});

test("learnMerges() ends where no pair occurs twice, and never makes a reserved text", () => {
  expect(learned(["abc abd"], 1000).tokens.slice(256)).toEqual(["ab"]);
  expect(learned(["END END END"], 1000).tokens.slice(256)).toContain("END");
  const { tokens } = learned(["END END END"], 1000, new Set(["END"]));
  expect(tokens.slice(256)).toEqual(["EN", "ĠEN", "ĠEND"]);
});

test("a token that two ways lead to stands in the vocabulary once", () => {
  const { tokens, pairs } = learned(
    ["abc abc abc ab ab ab ab xbc xbc xbc xbc xbc xbc xbc xbc aabc aabc".repeat(3)],
    400,
  );
  expect(new Set(tokens).size).toBe(tokens.length);
  expect(tokens.length).toBeLessThanOrEqual(256 + pairs.length);
});

test("encode() takes a word of 200 000 letters in its stride", () => {
  const encoder = encoderOf(golden.lines, golden.size);
  const word = "ab".repeat(100_000);
  expect(encoder.decode(encoder.encode(word))).toBe(word);
});

// Against llama.cpp

const folder = temporaryFolder();
const file = folder.path("vocabulary.gguf");
let engine: Engine;
let model: LlamaModel;
let encoder: BytePairEncoder;
const CONTROL = ["<|mail|>", "<|mail|>x", "<|läbel|>"];

beforeAll(async () => {
  const text = folder.path("text.jsonl");
  await writeFile(text, golden.lines.map((line) => JSON.stringify({ text: line })).join("\n"));
  await learnVocabulary({ texts: [text], output: file, size: golden.size, special: CONTROL });
  engine = loadEngine();
  model = LlamaModel.load(engine, file, { vocabOnly: true });
  await using opened = await openModel(file);
  encoder = BytePairEncoder.fromMetadata(opened.metadata);
});
afterAll(() => {
  model[Symbol.dispose]();
  folder[Symbol.dispose]();
});

function expectSame(text: string): void {
  for (const parseSpecial of [false, true]) {
    const ids = encoder.encode(text, { parseSpecial });
    if (JSON.stringify(ids) === JSON.stringify([...model.tokenize(text, { parseSpecial })])) continue;
    expect(ids, JSON.stringify(text)).toEqual([...model.tokenize(text, { parseSpecial })]);
  }
  const ids = encoder.encode(text);
  expect(model.detokenize(ids)).toBe(encoder.decode(ids));
}

test("llama.cpp and encode() give the same tokens of awkward texts", () => {
  for (const { text } of golden.texts) if (text !== "") expectSame(text);
  for (const text of [
    "<|mail|>Hello<|läbel|>ham<|end|>",
    "<|mail|>x<|mail|> x <|mail <|end|><|end|>",
    "  <|mail|>  \n<|mail|>\n",
    "'s'S'll'LL'ſ",
    "a\u0085b \u0085 c\ufeffd \u00a0e\u2028f",
    "½²③Ⅷ१२३ ৪৫",
    "e\u0301 \u0301 क्षि 한 \u{1F468}\u200D\u{1F469}",
    "\t\t \n \n\n x",
    "_".repeat(300) + "-".repeat(301) + "x".repeat(302),
  ])
    expectSame(text);
});

test("llama.cpp and encode() agree on where words end at each of Unicode's characters", () => {
  // Planes 4 to 13 hold nothing, the last two are private use throughout.
  const assigned = Array.from({ length: 0x40000 }, (_, code) => code).filter((code) => code < 0xd800 || code > 0xdfff);
  const lines = [...assigned.slice(1), 0xe0001, 0xe0020, 0xe01ef, 0xf0000, 0x10fffd].map((code) => {
    const character = String.fromCodePoint(code);
    return `ab${character}ab ${character}12\n`;
  });
  for (let i = 0; i < lines.length; i += 1024) {
    const text = lines.slice(i, i + 1024).join("");
    if (String(encoder.encode(text)) !== String(model.tokenize(text)))
      for (const line of lines.slice(i, i + 1024)) expectSame(line);
  }
});

test("llama.cpp and encode() give the same tokens of texts by chance", () => {
  const random = new Random(5);
  const pieces = [...golden.lines.flatMap(splitWords), ...CONTROL, "<|end|>", "'", " ", "\n", "\u00a0", "😀", "é"];
  for (let i = 0; i < 400; i++) {
    const count = 1 + random.integer(30);
    expectSame(Array.from({ length: count }, () => pieces[random.integer(pieces.length)]).join(""));
  }
});
