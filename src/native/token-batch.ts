// The tokens of one decode call, in memory that llama.cpp reads in place and that is reused from call to call.
import koffi from "koffi";

import { STRUCTS } from "./abi.gen.js";
import type { Struct } from "./bindings.js";

type Field = (typeof STRUCTS.llama_batch.fields)[number];
/** In which of its words a field of `llama_batch` lies. */
const WORD_OF = Object.fromEntries(STRUCTS.llama_batch.fields.map(([name, , offset]) => [name, offset / 8])) as Record<
  Field[0],
  number
>;

export class TokenBatch {
  readonly capacity: number;
  #size = 0;
  readonly #tokens: Int32Array;
  readonly #positions: Int32Array;
  readonly #sequenceCounts: Int32Array;
  readonly #sequences: Int32Array;
  readonly #sequencePointers: BigUint64Array;
  readonly #wantsLogits: Int8Array;
  readonly #struct: Struct<"llama_batch">;

  /** @param capacity most tokens in one call */
  constructor(capacity: number) {
    this.capacity = capacity;
    // Explicit buffers: V8 keeps small typed arrays in its moving heap, where an address does not last.
    this.#tokens = new Int32Array(new ArrayBuffer(capacity * 4));
    this.#positions = new Int32Array(new ArrayBuffer(capacity * 4));
    this.#sequenceCounts = new Int32Array(new ArrayBuffer(capacity * 4)).fill(1);
    this.#sequences = new Int32Array(new ArrayBuffer(capacity * 4));
    this.#wantsLogits = new Int8Array(new ArrayBuffer(capacity));
    this.#sequencePointers = new BigUint64Array(new ArrayBuffer((capacity + 1) * 8)); // the last stays null
    const first = koffi.address(this.#sequences);
    for (let i = 0; i < capacity; i++) this.#sequencePointers[i] = first + BigInt(i * 4);
    this.#struct = { words: new BigInt64Array(STRUCTS.llama_batch.sizeBytes / 8) };
    this.#setWord("token", koffi.address(this.#tokens));
    this.#setWord("pos", koffi.address(this.#positions));
    this.#setWord("n_seq_id", koffi.address(this.#sequenceCounts));
    this.#setWord("seq_id", koffi.address(this.#sequencePointers));
    this.#setWord("logits", koffi.address(this.#wantsLogits));
  }

  get size(): number {
    return this.#size;
  }

  clear(): void {
    this.#size = 0;
  }

  /**
   * Appends one token.
   *
   * @returns its index, by which its logits are asked for
   * @throws {RangeError} when the batch is full
   */
  add(token: number, position: number, sequence: number, wantsLogits: boolean): number {
    const index = this.#size;
    if (index >= this.capacity) throw new RangeError(`Cannot add a token: the batch holds ${this.capacity}`);
    this.#tokens[index] = token;
    this.#positions[index] = position;
    this.#sequences[index] = sequence;
    this.#wantsLogits[index] = wantsLogits ? 1 : 0;
    this.#size = index + 1;
    return index;
  }

  /** llama.cpp's view of this batch. */
  struct(): Struct<"llama_batch"> {
    this.#setWord("n_tokens", BigInt(this.#size));
    return this.#struct;
  }

  /** The upper half of `n_tokens`' word is padding. */
  #setWord(field: keyof typeof WORD_OF, value: bigint): void {
    this.#struct.words[WORD_OF[field]] = value;
  }
}
