// SentencePiece's byte pairs as `tokenizer.json` has them: merges in place of scores. `pieces-from-json.ts` is the way back.
// The order of merges is that of transformers' converter: by score, and for one score longer left parts first.
import type { Metadata } from "../gguf/metadata.js";
import type { JsonObject } from "./json-file.js";
import type { ListedVocabulary } from "./restore-tokenizer.js";
import { PIECE_TYPES } from "./sentencepiece.js";

interface Merge {
  left: string;
  right: string;
  score: number;
}

/** The parts of `tokenizer.json` that are SentencePiece's own. */
export function piecesToJson(metadata: Metadata, listed: ListedVocabulary): JsonObject {
  const { tokens, types } = listed;
  const addsSpace = metadata.boolean("tokenizer.ggml.add_space_prefix") ?? true;
  const spaces = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const unknown = tokens.find((_, id) => types[id] === PIECE_TYPES.unknown) ?? null;
  const vocabulary = tokens.flatMap((text, id) => (types[id] === PIECE_TYPES.unused ? [] : [[text, id] as const]));
  return {
    normalizer: { type: "Sequence", normalizers: addsSpace ? [{ type: "Prepend", prepend: "▁" }, spaces] : [spaces] },
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [
        { type: "Replace", pattern: { String: "▁" }, content: " " },
        { type: "ByteFallback" },
        { type: "Fuse" },
        ...(addsSpace ? [{ type: "Strip", content: " ", start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: unknown,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(vocabulary),
      merges: mergesOf(listed, metadata.array("tokenizer.ggml.scores")?.numbers() ?? []),
    },
  };
}

/** Every way to put a piece together of two others. */
function mergesOf({ tokens, types }: ListedVocabulary, scores: readonly number[]): [string, string][] {
  const ids = new Map(tokens.map((text, id) => [text, id]));
  const merges = tokens.flatMap((text, id): Merge[] => {
    if (types[id] !== PIECE_TYPES.normal) return [];
    const letters = [...text];
    const ways = letters.slice(1).flatMap((_, index) => {
      const [left, right] = [letters.slice(0, index + 1).join(""), letters.slice(index + 1).join("")];
      return ids.has(left) && ids.has(right) ? [{ left, right, score: scores[id] ?? 0 }] : [];
    });
    return ways.sort((a, b) => ids.get(a.left)! - ids.get(b.left)! || ids.get(a.right)! - ids.get(b.right)!);
  });
  const length = (text: string) => [...text].length;
  merges.sort((a, b) => b.score - a.score || length(b.left) - length(a.left) || length(b.right) - length(a.right));
  return merges.map(({ left, right }) => [left, right]);
}
