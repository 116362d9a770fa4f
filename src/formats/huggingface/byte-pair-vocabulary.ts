// Byte pairs over bytes, GPT-2's and those after it. Bytes are spelled as GPT-2 spells them, in Hugging Face's files as in GGUF.
import { FormatError } from "../../errors.js";
import { PRE_TOKENIZERS, type PreTokenizer, preTokenizerOf } from "./pre-tokenizer.js";
import { PIECE_TYPES } from "./sentencepiece.js";
import type { TokenizerJson } from "./tokenizer-json.js";
import { type Vocabulary, type VocabularyOptions, addedPiece } from "./vocabulary.js";

/** @throws {FormatError} when the pre-tokenizer is unknown, or there are more tokens than embeddings */
export function bytePairVocabulary(json: TokenizerJson, options: VocabularyOptions): Vocabulary {
  const pre: PreTokenizer = options.preTokenizer ? { name: options.preTokenizer } : requirePreTokenizer(json);
  const tokens = Array.from({ length: options.size }, (_, id) => `[PAD${id}]`);
  const types: number[] = tokens.map(() => PIECE_TYPES.unused);
  for (const [text, id] of json.vocabulary) {
    if (id >= options.size) throw beyondEmbedding(json.path, text, id, options.size);
    tokens[id] = text;
    types[id] = PIECE_TYPES.normal;
  }
  for (const token of json.addedTokens) {
    if (token.id >= options.size) continue; // the model has no embedding for it
    const { text, type } = addedPiece(token, options.trustsMarks);
    tokens[token.id] = text;
    types[token.id] = type;
  }
  const merges = json.merges.map((pair) => pair.map((part) => part.replaceAll(" ", "Ġ")).join(" "));
  return { model: "gpt2", pre: pre.name, tokens, types, merges, addsBosByDefault: pre.addsBos ?? false };
}

function requirePreTokenizer(json: TokenizerJson): PreTokenizer {
  const found = preTokenizerOf(json);
  if (found) return found;
  const described = JSON.stringify(json.preTokenizer ?? null).slice(0, 300);
  const message = `Cannot convert "${json.path}": its pre-tokenizer is not known: ${described}`;
  throw new FormatError(json.path, message, {
    hint: `Name the one of llama.cpp's that splits alike with --pre-tokenizer, such as ${PRE_TOKENIZERS.join(", ")}`,
  });
}

function beyondEmbedding(path: string, text: string, id: number, size: number): FormatError {
  const message = `Cannot convert "${path}": token ${JSON.stringify(text)} has id ${id}, and the model has ${size} embeddings`;
  return new FormatError(path, message, { hint: "The tokenizer is that of another model" });
}
