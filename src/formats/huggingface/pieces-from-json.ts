// A SentencePiece model that Hugging Face has rewritten as byte pairs over characters, turned back. Its merges are in the
// order of the pieces' scores, so their ranks serve as scores: llama.cpp then merges the same pairs in the same order.
// (llama.cpp's converter gives every piece the same score here, which merges from left to right instead.)
import { FormatError } from "../../errors.js";
import { PIECE_TYPES, type Piece } from "./sentencepiece.js";
import { type TokenizerJson, stepsOf } from "./tokenizer-json.js";

/**
 * The pieces in the order of their ids, and whether text gets a space in front.
 *
 * @throws {FormatError} when an id has no token
 */
export function piecesFromJson(json: TokenizerJson): { pieces: Piece[]; addsSpacePrefix: false | undefined } {
  const texts: string[] = [];
  for (const [text, id] of json.vocabulary) texts[id] = text;
  const ranks = mergeRanks(json);
  const special = new Set(json.addedTokens.flatMap(({ content, special }) => (special ? [content] : [])));
  let rank = ranks.size; // letters that nothing merges into come after the merged ones
  const pieces = Array.from(texts, (text: string | undefined, id): Piece => {
    if (text === undefined) throw new FormatError(json.path, `Cannot convert "${json.path}": id ${id} has no token`);
    const type = typeOf(text, json.unknownToken, special);
    if (type !== PIECE_TYPES.normal) return { text, score: 0, type };
    return { text, score: -(ranks.get(text) ?? rank++) || 0, type };
  });
  return { pieces, addsSpacePrefix: addsSpacePrefix(json) ? undefined : false };
}

/** Each merged text with its place among them. */
function mergeRanks({ merges }: TokenizerJson): Map<string, number> {
  const ranks = new Map<string, number>();
  for (const [left, right] of merges) {
    const merged = left + right;
    if (!ranks.has(merged)) ranks.set(merged, ranks.size);
  }
  return ranks;
}

function typeOf(text: string, unknownToken: string | undefined, special: ReadonlySet<string>): number {
  if (text === unknownToken) return PIECE_TYPES.unknown;
  if (/^<0x[0-9A-F]{2}>$/.test(text)) return PIECE_TYPES.byte;
  return special.has(text) ? PIECE_TYPES.control : PIECE_TYPES.normal;
}

function addsSpacePrefix({ normalizer, preTokenizer }: TokenizerJson): boolean {
  const steps = [...stepsOf(normalizer), ...stepsOf(preTokenizer)];
  return steps.some(
    ({ type, prepend, prepend_scheme: scheme }) =>
      (type === "Prepend" && prepend === "▁") || (type === "Metaspace" && scheme !== "never"),
  );
}
