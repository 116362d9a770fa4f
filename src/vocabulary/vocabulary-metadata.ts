// A byte-level vocabulary as GGUF metadata, under the keys that llama.cpp reads.
import { addSpecialTokens, addVocabulary } from "../convert/tokenizer-metadata.js";
import { Metadata } from "../formats/gguf/metadata.js";
import { PIECE_TYPES } from "../formats/huggingface/sentencepiece.js";
import type { BytePairVocabulary } from "./byte-pair-encoder.js";
import { PRE_TOKENIZER } from "./words.js";

/** A model takes its vocabulary's architecture only to be read at all; one that is made of it has its own. */
const ARCHITECTURE = "llama";

/**
 * The metadata of a file that holds a vocabulary and nothing else.
 *
 * @param end id of the token that ends a text; it begins none
 */
export function vocabularyMetadata(vocabulary: BytePairVocabulary, end: number, chatTemplate?: string): Metadata {
  const { tokens, merges, control } = vocabulary;
  const types = tokens.map((): number => PIECE_TYPES.normal);
  for (const id of control) types[id] = PIECE_TYPES.control;
  const listed = {
    model: "gpt2",
    pre: PRE_TOKENIZER,
    tokens,
    types,
    merges: merges.map((pair) => pair.join(" ")),
    addsBosByDefault: true,
  } as const;
  const metadata = new Metadata().set("general.architecture", "string", ARCHITECTURE);
  addVocabulary(metadata, listed);
  const ids = new Map([
    ["bos", end],
    ["eos", end],
  ] as const);
  addSpecialTokens(metadata, { ids, adds: new Map() }, listed);
  if (chatTemplate !== undefined) metadata.set("tokenizer.chat_template", "string", chatTemplate);
  return metadata;
}
