// llama.cpp's own vocabulary tests: texts and the ids that they become. They pass through the engine as Pare calls it, and
// once more through a tokenizer.json made of each vocabulary and converted back.
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";

import { expect, test } from "vitest";

import { addVocabulary } from "../src/convert/tokenizer-metadata.js";
import type { Metadata } from "../src/formats/gguf/metadata.js";
import { readGguf } from "../src/formats/gguf/read.js";
import { writeGguf } from "../src/formats/gguf/write.js";
import { PIECE_TYPES } from "../src/formats/huggingface/sentencepiece.js";
import { readTokenizerFiles } from "../src/formats/huggingface/tokenizer-files.js";
import { readVocabulary } from "../src/formats/huggingface/vocabulary.js";
import { loadEngine } from "../src/native/engine.js";
import { LlamaModel } from "../src/native/llama-model.js";
import { GPT2_WORDS, PRE_TOKENIZERS } from "./checkpoints/tokenizers.js";
import { temporaryFolder } from "./command.js";
import { sharedData } from "./shared.js";

const ALL = ["bert-bge", "deepseek-coder", "falcon", "gpt-2", "llama-bpe", "llama-spm", "phi-3", "qwen2", "qwen35"];
const vocabulary = (name: string) => sharedData(`vocab/ggml-vocab-${name}.gguf`);
const isThere = ALL.every((name) => vocabulary(name));

test.skipIf(!isThere).each(ALL)("the engine tokenizes llama.cpp's texts with %s as llama.cpp does", (name) => {
  expectConformance(vocabulary(name)!, name);
});

// What splits text into words in the published tokenizer.json of each, where it has such a part.
const SPLITS: Record<string, object | null> = {
  "gpt-2": PRE_TOKENIZERS["gpt-2"],
  "llama-bpe": PRE_TOKENIZERS["llama-bpe"],
  qwen2: PRE_TOKENIZERS.qwen2,
  qwen35: PRE_TOKENIZERS.qwen35,
  "deepseek-coder": {
    type: "Sequence",
    pretokenizers: [
      ...["[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+"].map((regex) => ({
        type: "Split",
        pattern: { Regex: regex },
        behavior: "Isolated",
        invert: false,
      })),
      { type: "Digits", individual_digits: true },
      { ...GPT2_WORDS, use_regex: false },
    ],
  },
  "llama-spm": null,
  "phi-3": null,
};

// These two files take added tokens as they are marked.
const MARKED = new Set(["deepseek-coder", "phi-3"]);

test.skipIf(!isThere).each(Object.keys(SPLITS))(
  "a tokenizer.json of %s converts to the same vocabulary, which tokenizes llama.cpp's texts as llama.cpp does",
  async (name) => {
    using folder = temporaryFolder();
    await using source = await readGguf(vocabulary(name)!);
    const json = tokenizerJson(source.metadata, SPLITS[name]!);
    await writeFile(folder.path("tokenizer.json"), JSON.stringify(json));
    const size = source.metadata.array("tokenizer.ggml.tokens")!.length;
    const trustsMarks = MARKED.has(name);
    const converted = readVocabulary(await readTokenizerFiles(folder.path(".")), { size, trustsMarks });
    const metadata = source.metadata.clone();
    addVocabulary(metadata, converted);
    for (const key of ["tokens", "token_type", "merges", "pre"]) {
      const wanted = source.metadata.get(`tokenizer.ggml.${key}`);
      expect(shown(metadata, key), key).toEqual(wanted === undefined ? undefined : shown(source.metadata, key));
    }
    const path = folder.path("vocabulary.gguf");
    await writeGguf(path, { metadata, tensors: [] });
    expectConformance(path, name);
  },
);

/** The value of a key as text. Ids without a token, which had another type once, are left out. */
function shown(metadata: Metadata, key: string): unknown {
  const value = metadata.get(`tokenizer.ggml.${key}`);
  if (typeof value !== "object") return value;
  const tokens = key === "token_type" ? metadata.array("tokenizer.ggml.tokens")!.strings() : [];
  return value
    .values()
    .filter((_, id) => !isPad(tokens[id] ?? ""))
    .join("\n");
}

function expectConformance(path: string, name: string): void {
  const tests = vocabulary(name)!;
  const texts = readFileSync(`${tests}.inp`, "utf8").split("\n__ggml_vocab_test__\n");
  const lines = readFileSync(`${tests}.out`, "utf8").split("\n");
  using model = LlamaModel.load(loadEngine(), path, { vocabOnly: true });
  const found = texts.map((text) => [...model.tokenize(text)].join(" "));
  expect(found).toEqual(texts.map((_, index) => lines[index]!.trim()));
  expect(texts.length).toBeGreaterThan(40);
}

/** The tokenizer.json that a vocabulary would have been converted from. */
function tokenizerJson(metadata: Metadata, preTokenizer: object | null) {
  const tokens = metadata.array("tokenizer.ggml.tokens")!.strings();
  const types = metadata.array("tokenizer.ggml.token_type")!.numbers();
  const added = tokens.flatMap((content, id) => {
    const special = types[id] === PIECE_TYPES.control;
    return special || types[id] === PIECE_TYPES.userDefined ? [{ id, content, special }] : [];
  });
  const isPieces = metadata.string("tokenizer.ggml.model") === "llama";
  const isAdded = new Set(isPieces ? [] : added.map(({ id }) => id));
  const listed = tokens.flatMap((token, id): [string, number][] =>
    isAdded.has(id) || isPad(token) ? [] : [[token, id]],
  );
  return {
    added_tokens: added,
    normalizer: isPieces ? { type: "Prepend", prepend: "▁" } : null,
    pre_tokenizer: preTokenizer,
    model: {
      type: "BPE",
      byte_fallback: isPieces,
      ignore_merges: metadata.string("tokenizer.ggml.pre") === "llama-bpe",
      unk_token: isPieces ? "<unk>" : null,
      vocab: Object.fromEntries(listed),
      merges: isPieces ? mergesOfPieces(metadata, tokens, types) : metadata.array("tokenizer.ggml.merges")!.strings(),
    },
  };
}

function isPad(token: string): boolean {
  return /^\[PAD\d+\]$/.test(token);
}

/** Every way to cut a piece into two, the piece with the highest score first: how transformers rewrites SentencePiece. */
function mergesOfPieces(metadata: Metadata, tokens: readonly string[], types: readonly number[]): [string, string][] {
  const scores = metadata.array("tokenizer.ggml.scores")!.numbers();
  const known = new Set(tokens);
  const normal = tokens.map((text, id) => ({ text, id })).filter(({ id }) => types[id] === PIECE_TYPES.normal);
  normal.sort((a, b) => scores[b.id]! - scores[a.id]! || a.id - b.id);
  return normal.flatMap(({ text }) => {
    const letters = [...text];
    const cuts = letters
      .slice(1)
      .map((_, at): [string, string] => [letters.slice(0, at + 1).join(""), letters.slice(at + 1).join("")]);
    return cuts.filter(([left, right]) => known.has(left) && known.has(right));
  });
}
