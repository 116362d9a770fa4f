// `tokenizer.json`: Hugging Face's description of a whole tokenizer. Only byte pairs are read, which is what the
// families that Pare converts have: over bytes (GPT-2 and after) or over characters (SentencePiece's, rewritten).
import { FormatError } from "../../errors.js";
import { type JsonObject, isJsonObject } from "./json-file.js";

/** A token that is matched before anything else. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** True for tokens that are no text: they mark a start, an end, a turn. */
  readonly special: boolean;
}

/** What a `tokenizer.json` says. */
export interface TokenizerJson {
  readonly path: string;
  readonly vocabulary: ReadonlyMap<string, number>;
  /** Pairs in the order in which they are merged. */
  readonly merges: readonly (readonly [string, string])[];
  readonly addedTokens: readonly AddedToken[];
  readonly unknownToken: string | undefined;
  /** True when letters without a token become bytes: a SentencePiece model rewritten. */
  readonly fallsBackToBytes: boolean;
  /** True when a word that is a token is taken whole, whatever the merges say. */
  readonly ignoresMerges: boolean;
  readonly normalizer: JsonObject | undefined;
  readonly preTokenizer: JsonObject | undefined;
  readonly postProcessor: JsonObject | undefined;
}

const TOKENS_MAX = 2 ** 20;

/**
 * Reads a tokenizer from its JSON.
 *
 * @throws {FormatError} when it is damaged or not made of byte pairs
 */
export function parseTokenizerJson(path: string, json: JsonObject): TokenizerJson {
  const model = json["model"];
  if (!isJsonObject(model)) throw failure(path, "it has no model");
  // An absent type is that of files written before there were others.
  if ((model["type"] ?? "BPE") !== "BPE") {
    throw failure(path, `its model is of type ${JSON.stringify(model["type"])}, BPE is wanted`);
  }
  return {
    path,
    vocabulary: vocabularyOf(path, model["vocab"]),
    merges: mergesOf(path, model["merges"]),
    addedTokens: addedTokensOf(path, json["added_tokens"]),
    unknownToken: typeof model["unk_token"] === "string" ? model["unk_token"] : undefined,
    fallsBackToBytes: model["byte_fallback"] === true,
    ignoresMerges: model["ignore_merges"] === true,
    normalizer: objectOf(json["normalizer"]),
    preTokenizer: objectOf(json["pre_tokenizer"]),
    postProcessor: objectOf(json["post_processor"]),
  };
}

/** The steps of a part that may be a `Sequence` of parts, in order. */
export function stepsOf(part: JsonObject | undefined): JsonObject[] {
  if (!part) return [];
  if (part["type"] !== "Sequence") return [part];
  const steps = part["pretokenizers"] ?? part["normalizers"] ?? part["processors"];
  return Array.isArray(steps) ? steps.filter(isJsonObject).flatMap(stepsOf) : [];
}

function vocabularyOf(path: string, vocab: unknown): Map<string, number> {
  if (!isJsonObject(vocab)) throw failure(path, "its model has no vocab");
  const entries = Object.entries(vocab);
  const bad = entries.find(([, id]) => !isTokenId(id));
  if (bad) throw failure(path, `token ${JSON.stringify(bad[0])} has id ${JSON.stringify(bad[1])}`);
  return new Map(entries as [string, number][]);
}

/** A merge is a pair, or, in files written before November 2024, a text with one space. */
function mergesOf(path: string, merges: unknown): [string, string][] {
  if (!Array.isArray(merges)) throw failure(path, "its model has no merges");
  return merges.map((merge: unknown, rank) => {
    const pair = typeof merge === "string" ? merge.split(" ") : merge;
    if (Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === "string" && part !== "")) {
      return pair as [string, string];
    }
    throw failure(path, `merge ${rank} is ${JSON.stringify(merge)}, a pair is wanted`);
  });
}

function addedTokensOf(path: string, tokens: unknown): AddedToken[] {
  if (tokens === undefined || tokens === null) return [];
  if (!Array.isArray(tokens)) throw failure(path, "its added_tokens are no list");
  return tokens.map((token: unknown) => {
    if (isJsonObject(token) && isTokenId(token["id"]) && typeof token["content"] === "string") {
      return { id: token["id"], content: token["content"], special: token["special"] === true };
    }
    throw failure(path, `added token ${JSON.stringify(token)} has no id or no content`);
  });
}

function isTokenId(id: unknown): id is number {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) < TOKENS_MAX;
}

function objectOf(value: unknown): JsonObject | undefined {
  return isJsonObject(value) ? value : undefined;
}

function failure(path: string, reason: string): FormatError {
  return new FormatError(path, `Cannot read tokenizer "${path}": ${reason}`);
}
