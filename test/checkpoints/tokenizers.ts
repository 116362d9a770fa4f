// Small tokenizers of each kind, written as the files that checkpoints have. Their vocabularies are made up; they are
// complete: every byte has a token, and merges lead to every word.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

/** The kinds: by file, and for byte pairs over bytes by what splits text into words. */
export type TokenizerKind = "spm" | "spm-json" | "llama-bpe" | "qwen2" | "gpt-2" | "smollm" | "olmo";

/** Tokens of each. */
export const TOKENS = 384;

const WORDS = ["▁the", "▁and", "▁she", "▁was", "▁little", "▁girl", "▁ate", "ing", "▁once"];
const BYTE_WORDS = WORDS.map((word) => word.replace("▁", "Ġ"));
export const SPECIALS = ["<|endoftext|>", "<|im_end|>"];

/** How an added token is matched: as it is written. */
const PLAIN = { single_word: false, lstrip: false, rstrip: false, normalized: false };

/** Writes the files of a tokenizer, and of its configuration. */
export async function writeTokenizer(folder: string, kind: TokenizerKind, template?: string): Promise<void> {
  const put = (name: string, value: unknown) => writeFile(join(folder, name), JSON.stringify(value));
  if (kind === "spm") await writeFile(join(folder, "tokenizer.model"), sentencePieceModel(pieces()));
  else await put("tokenizer.json", kind === "spm-json" ? sentencePieceJson() : bytePairJson(kind));
  const isPieces = kind.startsWith("spm");
  await put("tokenizer_config.json", {
    tokenizer_class: isPieces ? "LlamaTokenizer" : "PreTrainedTokenizerFast",
    bos_token: isPieces ? "<s>" : SPECIALS[0],
    eos_token: isPieces ? "</s>" : { __type: "AddedToken", content: SPECIALS[1], ...PLAIN, special: true },
    ...(isPieces && { unk_token: "<unk>", add_bos_token: true, add_eos_token: false }),
    ...(isPieces && { added_tokens_decoder: addedTokens() }),
    ...(template !== undefined && { chat_template: template }),
  });
}

interface Piece {
  text: string;
  score: number;
  type: number;
}

/** Pairs that lead to each word, letter by letter, each once. */
export function mergesOf(words: readonly string[]): [string, string][] {
  const merges = new Map<string, [string, string]>();
  for (const word of words) {
    const letters = [...word];
    for (let end = 2; end <= letters.length; end++) {
      const merged = letters.slice(0, end).join("");
      if (!merges.has(merged)) merges.set(merged, [letters.slice(0, end - 1).join(""), letters[end - 1]!]);
    }
  }
  return [...merges.values()];
}

/** `<unk> <s> </s>`, the bytes, words with falling scores, letters, and unused ones up to the specials. */
function pieces(): Piece[] {
  const list: Piece[] = [
    { text: "<unk>", score: 0, type: 2 },
    { text: "<s>", score: 0, type: 3 },
    { text: "</s>", score: 0, type: 3 },
  ];
  for (let byte = 0; byte < 256; byte++) {
    list.push({ text: `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`, score: 0, type: 6 });
  }
  const texts = mergesOf(WORDS).map((pair) => pair.join(""));
  for (const letter of "▁etaoinshrdlcumwfgypbvkxjqz.,ETAOINSHRDL") texts.push(letter);
  for (const [rank, text] of texts.entries()) list.push({ text, score: -rank, type: 1 });
  for (let word = 0; list.length < TOKENS - SPECIALS.length; word++) {
    list.push({ text: `▁word${word}`, score: -texts.length - word, type: 1 });
  }
  return list;
}

/** The specials come after the pieces; the second does not say that it is one, but looks so. */
function addedTokens(): Record<string, { content: string; special: boolean }> {
  const tokens = SPECIALS.map((content, index) => ({ content, special: index === 0 }));
  return Object.fromEntries(tokens.map((token, index) => [TOKENS - SPECIALS.length + index, token]));
}

function sentencePieceJson() {
  const list = pieces();
  const specials = Object.entries(addedTokens()).map(([id, token]) => ({ id: Number(id), ...token }));
  return {
    version: "1.0",
    added_tokens: [
      ...["<unk>", "<s>", "</s>"].map((content, id) => ({ id, content, special: true, ...PLAIN })),
      ...specials.map((token) => ({ ...token, ...PLAIN })),
    ],
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    post_processor: bosTemplate("<s>", 1),
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        { type: "Strip", content: " ", start: 1, stop: 0 },
      ],
    },
    model: {
      type: "BPE",
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(list.map(({ text }, id) => [text, id])),
      merges: mergesOf(WORDS).map((pair) => pair.join(" ")),
    },
  };
}

function bosTemplate(token: string, id: number) {
  const special = { SpecialToken: { id: token, type_id: 0 } };
  const [first, second] = ["A", "B"].map((name, type_id) => ({ Sequence: { id: name, type_id } }));
  return {
    type: "TemplateProcessing",
    single: [special, first],
    pair: [special, first, { SpecialToken: { id: token, type_id: 1 } }, second],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const REST = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const split = (regex: string) => ({
  type: "Sequence",
  pretokenizers: [
    { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false },
    { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
  ],
});
export const GPT2_WORDS = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };

/** What splits text into words, as published tokenizer.json files have it. */
export const PRE_TOKENIZERS = {
  "llama-bpe": split(`${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}${REST}`),
  qwen2: split(`${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${REST}`),
  qwen35: split(
    `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  ),
  "gpt-2": GPT2_WORDS,
  olmo: GPT2_WORDS,
  smollm: { type: "Sequence", pretokenizers: [{ type: "Digits", individual_digits: true }, GPT2_WORDS] },
};

function bytePairJson(kind: keyof typeof PRE_TOKENIZERS) {
  const merges = mergesOf(BYTE_WORDS);
  const texts = [...bytesAsCharacters(), ...merges.map((pair) => pair.join(""))];
  for (let word = 0; texts.length < TOKENS - SPECIALS.length; word++) texts.push(`Ġword${word}`);
  const added = SPECIALS.map((content, index) => ({ id: texts.length + index, content, special: true }));
  return {
    version: "1.0",
    added_tokens: added.map((token) => ({ ...token, ...PLAIN })),
    normalizer: kind === "qwen2" || kind === "olmo" ? { type: "NFC" } : null,
    pre_tokenizer: PRE_TOKENIZERS[kind],
    post_processor: kind === "llama-bpe" ? bosTemplate(SPECIALS[0]!, texts.length) : null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      byte_fallback: false,
      ignore_merges: kind === "llama-bpe",
      vocab: Object.fromEntries(texts.map((text, id) => [text, id])),
      merges,
    },
  };
}

/** GPT-2's spelling of the 256 bytes: printable ones as they are, the others from U+0100 on. */
function bytesAsCharacters(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    return String.fromCharCode(isPrintable ? byte : next++);
  });
}

/** A SentencePiece model of byte pairs, as its protobuf message. */
export function sentencePieceModel(list: readonly Piece[], modelType = 2): Uint8Array {
  const parts: Buffer[] = [];
  for (const { text, score, type } of list) {
    const value = Buffer.alloc(4);
    value.writeFloatLE(score);
    const piece = [field(1, Buffer.from(text)), Buffer.from([0x15]), value, Buffer.from([0x18, type])];
    parts.push(field(1, Buffer.concat(piece)));
  }
  parts.push(field(2, Buffer.from([0x18, modelType, 0x98, 0x02, 1]))); // trainer_spec: model_type, byte_fallback (35)
  parts.push(field(3, field(1, Buffer.from("identity")))); // normalizer_spec: name
  return Buffer.concat(parts);
}

/** A length-delimited field. */
function field(number: number, bytes: Buffer): Buffer {
  const length: number[] = [];
  for (let rest = bytes.byteLength; ; rest >>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) break;
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes]);
}
