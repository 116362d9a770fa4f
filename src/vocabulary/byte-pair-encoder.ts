// Text to tokens of a byte-level byte-pair vocabulary, exactly as llama.cpp does it. Pure TypeScript, for where no engine
// runs; the tests hold the two against each other.
import { PareError } from "../errors.js";
import type { Metadata } from "../formats/gguf/metadata.js";
import { PIECE_TYPES } from "../formats/huggingface/sentencepiece.js";
import { fromByteCharacters, toByteCharacters } from "./byte-alphabet.js";
import { Heap } from "./heap.js";
import { PRE_TOKENIZER, splitWords } from "./words.js";

/** A byte-level vocabulary as files hold it. */
export interface BytePairVocabulary {
  /** Texts by id: control tokens as they are, all others in the byte alphabet. */
  tokens: readonly string[];
  /** The first of them goes first. */
  merges: readonly (readonly [string, string])[];
  /** Ids of tokens that stand for no text of their own. */
  control: readonly number[];
}

/** Longer words are not worth remembering. */
const REMEMBERED_LENGTH_MAX = 32;

interface Merge {
  rank: number;
  token: number;
}

export class BytePairEncoder {
  readonly #vocabulary: BytePairVocabulary;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #merges = new Map<number, Merge>();
  /** The longest first, as one may begin like another. */
  readonly #control: readonly { text: string; id: number }[];
  readonly #known = new Map<string, readonly number[]>();

  constructor(vocabulary: BytePairVocabulary) {
    const { tokens, merges, control } = vocabulary;
    this.#vocabulary = vocabulary;
    this.#ids = new Map(tokens.map((token, id) => [token, id]));
    merges.forEach(([left, right], rank) => {
      const token = this.#ids.get(left + right)!;
      this.#merges.set(this.#key(this.#ids.get(left)!, this.#ids.get(right)!), { rank, token });
    });
    this.#control = control
      .map((id) => ({ text: tokens[id]!, id }))
      .toSorted((a, b) => Buffer.byteLength(b.text) - Buffer.byteLength(a.text));
  }

  /**
   * The encoder of a vocabulary in a GGUF file.
   *
   * @throws {PareError} when it is no byte-level one with GPT-2's words
   */
  static fromMetadata(metadata: Metadata): BytePairEncoder {
    const model = metadata.string("tokenizer.ggml.model");
    const pre = metadata.string("tokenizer.ggml.pre");
    if (model !== "gpt2" || pre !== PRE_TOKENIZER)
      throw new PareError(
        `The vocabulary is of tokenizer "${model}" with pre-tokenizer "${pre}", "gpt2" with "${PRE_TOKENIZER}" is wanted`,
      );
    const types = metadata.array("tokenizer.ggml.token_type")?.numbers() ?? [];
    return new BytePairEncoder({
      tokens: metadata.array("tokenizer.ggml.tokens")?.strings() ?? [],
      merges: (metadata.array("tokenizer.ggml.merges")?.strings() ?? []).map(partsOf),
      control: types.flatMap((type, id) => (type === PIECE_TYPES.control ? [id] : [])),
    });
  }

  /** @param options.parseSpecial read control tokens that are written in the text as such; off by default */
  encode(text: string, options: { parseSpecial?: boolean } = {}): number[] {
    let parts: (string | number)[] = [text];
    if (options.parseSpecial) {
      for (const { text: special, id } of this.#control)
        parts = parts.flatMap((part) => (typeof part === "string" ? separate(part, special, id) : [part]));
    }
    return parts.flatMap((part) =>
      typeof part === "number" ? [part] : splitWords(part).flatMap((word) => this.#word(word)),
    );
  }

  /** Tokens to text; bytes that are no UTF-8 become U+FFFD, control tokens are left out. */
  decode(tokens: Iterable<number>): string {
    const control = new Set(this.#vocabulary.control);
    const pieces: Uint8Array[] = [];
    for (const id of tokens) if (!control.has(id)) pieces.push(fromByteCharacters(this.#vocabulary.tokens[id]!));
    return new TextDecoder().decode(Buffer.concat(pieces));
  }

  #word(word: string): readonly number[] {
    const known = this.#known.get(word);
    if (known) return known;
    const tokens = this.#join(Array.from(toByteCharacters(word), (character) => this.#ids.get(character)!));
    if (word.length <= REMEMBERED_LENGTH_MAX) this.#known.set(word, tokens);
    return tokens;
  }

  /** Joins neighbours, the pair of the lowest rank first, and of equal ones the leftmost. */
  #join(tokens: number[]): number[] {
    const next = tokens.map((_, i) => i + 1);
    const previous = tokens.map((_, i) => i - 1);
    const queue = new Heap<Merge & { at: number; left: number; right: number }>((a, b) =>
      a.rank === b.rank ? a.at < b.at : a.rank < b.rank,
    );
    const offer = (at: number): void => {
      const left = tokens[at];
      const right = tokens[next[at] ?? -1];
      if (left === undefined || right === undefined) return;
      const merge = this.#merges.get(this.#key(left, right));
      if (merge) queue.push({ ...merge, at, left, right });
    };
    for (let at = 0; at < tokens.length; at++) offer(at);
    const GONE = -1;
    for (let merge = queue.pop(); merge; merge = queue.pop()) {
      const { at, left, right, token } = merge;
      const after = next[at]!;
      if (tokens[at] !== left || tokens[after] !== right) continue; // one of them is part of another token by now
      tokens[at] = token;
      tokens[after] = GONE;
      next[at] = next[after]!;
      if (next[at]! < tokens.length) previous[next[at]!] = at;
      offer(at);
      if (previous[at]! >= 0) offer(previous[at]!);
    }
    return tokens.filter((token) => token !== GONE);
  }

  #key(left: number, right: number): number {
    return left * this.#vocabulary.tokens.length + right;
  }
}

function partsOf(merge: string): [string, string] {
  const at = merge.indexOf(" ", 1);
  return [merge.slice(0, at), merge.slice(at + 1)];
}

/** A text around each occurrence of a special token. */
function separate(text: string, special: string, id: number): (string | number)[] {
  return text.split(special).flatMap((part, i) => [...(i > 0 ? [id] : []), ...(part === "" ? [] : [part])]);
}
