// The files of a tokenizer from what GGUF keeps of it. What GGUF does not keep (how added tokens are matched, normalizers
// that change no plain text) is as in most checkpoints, so the files are not byte for byte those that the model came with.
import { FormatError } from "../../errors.js";
import type { Metadata } from "../gguf/metadata.js";
import type { JsonObject } from "./json-file.js";
import { piecesToJson } from "./pieces-to-json.js";
import { describePreTokenizer } from "./pre-tokenizer.js";
import { PIECE_TYPES } from "./sentencepiece.js";

/** `tokenizer.json` and `tokenizer_config.json`. */
export interface RestoredTokenizer {
  readonly json: JsonObject;
  readonly config: JsonObject;
}

/** The vocabulary as GGUF lists it. */
export interface ListedVocabulary {
  readonly tokens: readonly string[];
  /** `PIECE_TYPES`. */
  readonly types: readonly number[];
}

export interface RestoreTokenizerOptions {
  /** What errors call the model. */
  path: string;
  /** True when a text begins with BOS. */
  addsBos: boolean;
}

/** @throws {FormatError} when the vocabulary is none of byte pairs, or split by rules that are not known here */
export function restoreTokenizer(metadata: Metadata, options: RestoreTokenizerOptions): RestoredTokenizer {
  const listed = {
    tokens: metadata.array("tokenizer.ggml.tokens")?.strings() ?? [],
    types: metadata.array("tokenizer.ggml.token_type")?.numbers() ?? [],
  };
  const kind = metadata.string("tokenizer.ggml.model");
  if (kind !== "llama" && kind !== "gpt2") {
    throw failure(options.path, `its tokenizer is of kind "${kind}", llama or gpt2 is wanted`);
  }
  const parts = kind === "llama" ? piecesToJson(metadata, listed) : bytePairs(metadata, listed, options.path);
  const isSpecial = new Set<number | undefined>([PIECE_TYPES.control, PIECE_TYPES.unknown]);
  const added = listed.tokens.flatMap((content, id) => {
    const special = isSpecial.has(listed.types[id]);
    return special || listed.types[id] === PIECE_TYPES.userDefined ? [{ id, content, ...PLAIN, special }] : [];
  });
  const json = {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: added,
    ...parts,
    post_processor: postProcessor(metadata, listed, options),
  };
  return { json, config: tokenizerConfig(metadata, listed, options) };
}

/** How an added token is matched: as it is written. */
const PLAIN = { single_word: false, lstrip: false, rstrip: false, normalized: false };
const BYTES = { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true };

/** Special tokens stand in the vocabulary, too: else the library would give them ids behind all others. */
function bytePairs(metadata: Metadata, { tokens, types }: ListedVocabulary, path: string) {
  const pre = metadata.string("tokenizer.ggml.pre") ?? "default";
  const preTokenizer = describePreTokenizer(pre);
  if (!preTokenizer) throw failure(path, `its pre-tokenizer is "${pre}", which is not known here`);
  const vocabulary = tokens.flatMap((text, id) => (types[id] === PIECE_TYPES.unused ? [] : [[text, id] as const]));
  const merges = metadata.array("tokenizer.ggml.merges")?.strings() ?? [];
  return {
    normalizer: pre === "olmo" ? { type: "NFC" } : null,
    pre_tokenizer: preTokenizer,
    decoder: BYTES,
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: pre === "llama-bpe",
      vocab: Object.fromEntries(vocabulary),
      merges: merges.map((merge) => merge.split(" ")),
    },
  };
}

function postProcessor(metadata: Metadata, { tokens }: ListedVocabulary, { addsBos }: RestoreTokenizerOptions) {
  const idOf = (kind: string) => metadata.number(`tokenizer.ggml.${kind}_token_id`);
  const bos = addsBos ? idOf("bos") : undefined;
  const eos = metadata.boolean("tokenizer.ggml.add_eos_token") ? idOf("eos") : undefined;
  const around = [bos, eos].filter((id) => id !== undefined);
  if (around.length === 0) return metadata.string("tokenizer.ggml.model") === "gpt2" ? BYTES : null;
  const special = (id: number | undefined, type: number) =>
    id === undefined ? [] : [{ SpecialToken: { id: tokens[id], type_id: type } }];
  const text = (id: string, type: number) => [
    ...special(bos, type),
    { Sequence: { id, type_id: type } },
    ...special(eos, type),
  ];
  return {
    type: "TemplateProcessing",
    single: text("A", 0),
    pair: [...text("A", 0), ...text("B", 1)],
    special_tokens: Object.fromEntries(
      around.map((id) => [tokens[id]!, { id: tokens[id], ids: [id], tokens: [tokens[id]] }]),
    ),
  };
}

function tokenizerConfig(metadata: Metadata, { tokens }: ListedVocabulary, { addsBos }: RestoreTokenizerOptions) {
  const texts = { bos: "bos", eos: "eos", unknown: "unk", padding: "pad" };
  const special = Object.entries(texts).flatMap(([kind, name]) => {
    const id = metadata.number(`tokenizer.ggml.${kind}_token_id`);
    return id === undefined ? [] : [[`${name}_token`, tokens[id]]];
  });
  const template = metadata.string("tokenizer.chat_template");
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    ...Object.fromEntries(special),
    add_bos_token: addsBos,
    add_eos_token: metadata.boolean("tokenizer.ggml.add_eos_token") ?? false,
    clean_up_tokenization_spaces: false,
    ...(template !== undefined && { chat_template: template }),
  };
}

function failure(path: string, reason: string): FormatError {
  return new FormatError(path, `Cannot restore the tokenizer of "${path}": ${reason}`, {
    hint: "Name the folder of the model that it was converted from with --tokenizer",
  });
}
