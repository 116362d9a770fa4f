// A row of logits as llama.cpp's samplers take it: `llama_token_data_array` over the whole vocabulary, in memory of ours that
// is filled anew for every choice.
import koffi from "koffi";

/** One row of candidates; whoever applies samplers to it one after the other may share it. */
export class TokenCandidates {
  readonly #count: number;
  readonly #tokens: Int32Array;
  readonly #floats: Float32Array;
  readonly #header: BigInt64Array;
  readonly #flags: Uint8Array;
  readonly #dataAddress: bigint;
  readonly #address: bigint;

  /** @param count tokens of the vocabulary */
  constructor(count: number) {
    this.#count = count;
    const data = new ArrayBuffer(count * 12); // llama_token_data: id, logit, p
    this.#tokens = new Int32Array(data);
    this.#floats = new Float32Array(data);
    const header = new ArrayBuffer(32); // llama_token_data_array: data, size, selected, sorted
    this.#header = new BigInt64Array(header);
    this.#flags = new Uint8Array(header);
    this.#dataAddress = koffi.address(this.#tokens);
    this.#address = koffi.address(this.#header);
  }

  /** All tokens with their logits. @returns the address to hand to samplers */
  fill(logits: Float32Array): bigint {
    const tokens = this.#tokens;
    const floats = this.#floats;
    for (let token = 0, at = 0; token < this.#count; token++, at += 3) {
      tokens[at] = token;
      floats[at + 1] = logits[token]!;
    }
    return this.#reset(this.#count);
  }

  /** One token alone. @returns the address to hand to samplers */
  fillOne(token: number): bigint {
    this.#tokens[0] = token;
    this.#floats[1] = 0;
    return this.#reset(1);
  }

  /** Makes tokens of a whole row impossible. */
  exclude(tokens: readonly number[]): void {
    for (const token of tokens) this.#floats[token * 3 + 1] = -Infinity;
  }

  /** Whether the first candidate was left possible. */
  get isFirstPossible(): boolean {
    return this.#floats[1]! > -Infinity;
  }

  /** The token that the last sampler chose, or undefined where none was possible. */
  get chosen(): number | undefined {
    const at = Number(this.#header[2]) * 3;
    if (at < 0 || !(this.#floats[at + 1]! > -Infinity)) return undefined;
    return this.#tokens[at];
  }

  #reset(size: number): bigint {
    this.#header[0] = this.#dataAddress;
    this.#header[1] = BigInt(size);
    this.#header[2] = -1n;
    this.#flags[24] = 0;
    return this.#address;
  }
}
