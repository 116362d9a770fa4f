// A checkpoint's tokens as GGUF lists them: texts, types, and scores or merges. A `tokenizer.model` comes first, as in
// llama.cpp's converter; then `tokenizer.json`, over characters or over bytes.
import { FormatError } from "../../errors.js";
import { bytePairVocabulary } from "./byte-pair-vocabulary.js";
import { piecesFromJson } from "./pieces-from-json.js";
import { PIECE_TYPES, type Piece } from "./sentencepiece.js";
import type { AddedToken } from "./tokenizer-json.js";
import type { TokenizerFiles } from "./tokenizer-files.js";

/** The tokens in the order of their ids. */
export interface Vocabulary {
  /** llama.cpp's name of the algorithm: `llama` is SentencePiece's, `gpt2` byte pairs over bytes. */
  readonly model: "llama" | "gpt2";
  /** llama.cpp's name of the pre-tokenizer. */
  readonly pre: string;
  readonly tokens: readonly string[];
  /** `PIECE_TYPES`. */
  readonly types: readonly number[];
  readonly scores?: readonly number[];
  readonly merges?: readonly string[];
  /** False where text gets no space in front; absent leaves it to llama.cpp, which puts one for `llama`. */
  readonly addsSpacePrefix?: boolean | undefined;
  /** True where llama.cpp would add BOS by itself. */
  readonly addsBosByDefault: boolean;
}

export interface VocabularyOptions {
  /** Rows of the embedding: as many tokens there are. */
  size: number;
  /** Name of the pre-tokenizer, where the checkpoint's is not known. */
  preTokenizer?: string | undefined;
  /** True to take added tokens as they are marked; false also takes those for control tokens that look like one. */
  trustsMarks?: boolean | undefined;
}

/** What llama.cpp's converter gives tokens that were added, and ids that have no token. */
const SCORES = { added: -1000, absent: -10_000 };

/**
 * Reads a checkpoint's tokens.
 *
 * @throws {FormatError} when there is no tokenizer, or none that llama.cpp has
 */
export function readVocabulary(files: TokenizerFiles, options: VocabularyOptions): Vocabulary {
  if (files.pieces) return sentencePieces(files, files.pieces, options);
  if (!files.json) {
    throw new FormatError(
      files.folder,
      `Cannot read "${files.folder}": there is no tokenizer.json and no tokenizer.model`,
    );
  }
  if (!files.json.fallsBackToBytes) return bytePairVocabulary(files.json, options);
  const { pieces, addsSpacePrefix } = piecesFromJson(files.json);
  return { ...sentencePieces(files, pieces, options), addsSpacePrefix };
}

function sentencePieces(files: TokenizerFiles, pieces: readonly Piece[], options: VocabularyOptions): Vocabulary {
  const list = new TokenList(options.size);
  for (const [id, { text, score, type }] of pieces.entries()) list.put(id, text, score, normalized(type));
  for (const { id, content } of files.addedTexts) list.put(id, content, SCORES.added, PIECE_TYPES.userDefined);
  for (const token of files.addedTokens) list.add(token, options.trustsMarks);
  for (const token of files.json?.addedTokens ?? []) {
    if (options.trustsMarks || list.isAbsent(token.id)) list.add(token, options.trustsMarks);
  }
  return {
    model: "llama",
    pre: "default",
    tokens: list.tokens,
    types: list.types,
    scores: list.scores,
    addsSpacePrefix: files.config.flag("add_prefix_space"),
    addsBosByDefault: true,
  };
}

/** llama.cpp's converter takes SentencePiece's own user-defined pieces for normal ones. */
function normalized(type: number): number {
  return type === PIECE_TYPES.userDefined ? PIECE_TYPES.normal : type;
}

/** Tokens by id, of a fixed number; what lies beyond is left out, since the model has no embedding for it. */
class TokenList {
  readonly tokens: string[];
  readonly scores: number[];
  readonly types: number[];

  constructor(size: number) {
    this.tokens = Array.from({ length: size }, (_, id) => `[PAD${id}]`);
    this.scores = this.tokens.map(() => SCORES.absent);
    this.types = this.tokens.map(() => PIECE_TYPES.unused);
  }

  isAbsent(id: number): boolean {
    return this.types[id] === PIECE_TYPES.unused && this.scores[id] === SCORES.absent;
  }

  put(id: number, text: string, score: number, type: number): void {
    if (id >= this.tokens.length) return;
    this.tokens[id] = text;
    this.scores[id] = score;
    this.types[id] = type;
  }

  add(token: AddedToken, trustsMarks = false): void {
    const { text, type } = addedPiece(token, trustsMarks);
    this.put(token.id, text, SCORES.added, type);
  }
}

/** The text and type of an added token. */
export function addedPiece({ content, special }: AddedToken, trustsMarks = false): Pick<Piece, "text" | "type"> {
  if (special || (!trustsMarks && looksSpecial(content))) return { text: content, type: PIECE_TYPES.control };
  // Text that is matched before anything else is matched as it was typed, with spaces.
  return { text: trustsMarks ? content : content.replaceAll("▁", " "), type: PIECE_TYPES.userDefined };
}

/** Tokens that some checkpoints forgot to mark (deepseek-coder, command-r, gemma). */
function looksSpecial(content: string): boolean {
  if (["<pad>", "<mask>", "<2mass>", "[@BOS@]"].includes(content)) return true;
  return /^<\|.*\|>$|^<｜.*｜>$|^<unused.*>$/s.test(content);
}
