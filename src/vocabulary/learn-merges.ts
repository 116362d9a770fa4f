// Learns a byte-pair vocabulary: begin with bytes, and join the most frequent pair of neighbours again and again (Sennrich,
// Haddow and Birch, 2016, arXiv:1508.07909, algorithm 1). Counts are kept up to date for the words that a merge touches.
import { BYTE_CHARACTERS, toByteCharacters } from "./byte-alphabet.js";
import { Heap } from "./heap.js";

/** What was learned: tokens in the byte alphabet, and which two were joined, the most frequent first. */
export interface Merges {
  /** The 256 bytes in the order of their characters, then what was joined. */
  tokens: string[];
  pairs: [string, string][];
}

export interface MergeOptions {
  /** Tokens wanted, bytes included. */
  size: number;
  /** Texts that no token may have. */
  reserved?: ReadonlySet<string>;
  /** Called at times; may throw to end it. */
  onProgress?: (tokens: number) => void;
}

/** A pair of tokens as one number: their order is that of the left, then of the right. */
const LEFT = 2 ** 21;

/** Fewer occurrences are no pattern. */
const COUNT_MIN = 2;

interface Word {
  tokens: number[];
  count: number;
}

/**
 * Learns merges from words and how often each occurs. Of pairs equally frequent, the one of the older tokens comes first, so
 * that the same words give the same vocabulary. Ends early where no pair occurs twice.
 */
export function learnMerges(counts: ReadonlyMap<string, number>, options: MergeOptions): Merges {
  const tokens = BYTE_CHARACTERS.toSorted();
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const words = [...counts].map(([word, count]) => ({
    tokens: Array.from(toByteCharacters(word), (character) => ids.get(character)!),
    count,
  }));
  const table = new PairTable(words);
  const pairs: [string, string][] = [];
  while (tokens.length < options.size) {
    const pair = table.mostFrequent();
    if (pair === undefined) break;
    const parts: [string, string] = [tokens[pair.left]!, tokens[pair.right]!];
    const joined = parts.join("");
    if (options.reserved?.has(joined)) {
      table.drop(pair.key);
      continue;
    }
    // Two ways may lead to one token: it is in the vocabulary once.
    const id = ids.get(joined) ?? tokens.push(joined) - 1;
    ids.set(joined, id);
    pairs.push(parts);
    table.merge(pair.key, id);
    if (pairs.length % 64 === 0) options.onProgress?.(tokens.length);
  }
  return { tokens, pairs };
}

/** How often each pair of neighbours occurs, and in which words. */
class PairTable {
  readonly #words: readonly Word[];
  readonly #counts = new Map<number, number>();
  readonly #places = new Map<number, Set<number>>();
  readonly #dropped = new Set<number>();
  /** May hold counts of the past; those are corrected when they come out. */
  readonly #heap = new Heap<{ key: number; count: number }>((a, b) =>
    a.count === b.count ? a.key < b.key : a.count > b.count,
  );

  constructor(words: readonly Word[]) {
    this.#words = words;
    words.forEach((word, index) => this.#add(word, index, 1));
    for (const [key, count] of this.#counts) this.#heap.push({ key, count });
  }

  mostFrequent(): { key: number; left: number; right: number } | undefined {
    for (let top = this.#heap.pop(); top; top = this.#heap.pop()) {
      const { key } = top;
      const count = this.#counts.get(key) ?? 0;
      if (count < COUNT_MIN || this.#dropped.has(key)) continue;
      if (count === top.count) return { key, left: Math.floor(key / LEFT), right: key % LEFT };
      if (count < top.count) this.#heap.push({ key, count });
    }
    return undefined;
  }

  /** Never offers a pair again. */
  drop(key: number): void {
    this.#dropped.add(key);
  }

  /** Joins a pair wherever it stands. */
  merge(key: number, into: number): void {
    const changed = new Set<number>();
    for (const index of this.#places.get(key) ?? []) {
      const word = this.#words[index]!;
      this.#add(word, index, -1);
      word.tokens = joined(word.tokens, key, into);
      for (const pair of this.#add(word, index, 1)) changed.add(pair);
    }
    this.#counts.delete(key);
    this.#places.delete(key);
    for (const pair of changed) this.#heap.push({ key: pair, count: this.#counts.get(pair)! });
  }

  /** Counts a word's pairs in, or out. */
  #add({ tokens, count }: Word, index: number, sign: 1 | -1): number[] {
    const keys: number[] = [];
    for (let i = 1; i < tokens.length; i++) {
      const key = keyOf(tokens[i - 1]!, tokens[i]!);
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + sign * count);
      keys.push(key);
      if (sign < 0) continue;
      const places = this.#places.get(key);
      if (places) places.add(index);
      else this.#places.set(key, new Set([index]));
    }
    return keys;
  }
}

function keyOf(left: number, right: number): number {
  return left * LEFT + right;
}

function joined(tokens: readonly number[], key: number, into: number): number[] {
  const result: number[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const isPair = i + 1 < tokens.length && keyOf(tokens[i]!, tokens[i + 1]!) === key;
    result.push(isPair ? into : tokens[i]!);
    if (isPair) i++;
  }
  return result;
}
