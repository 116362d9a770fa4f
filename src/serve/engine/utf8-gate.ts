// Keeps an answer whole as text. Vocabularies have tokens of single bytes, and llama.cpp's grammars look at the code points that
// bytes would spell, even where their spelling is not UTF-8; such bytes would be shown as U+FFFD, which the grammar never allowed.

/** Follows the bytes of an answer. */
export class Utf8Gate {
  /** Bytes that the character under way still needs. */
  #missing = 0;
  #low = 0x80;
  #high = 0xbf;

  /** Whether the text is still UTF-8 with these bytes behind it. Nothing is taken. */
  accepts(bytes: Uint8Array): boolean {
    return this.#follow(bytes) !== undefined;
  }

  /** Takes bytes that were accepted. */
  take(bytes: Uint8Array): void {
    const end = this.#follow(bytes);
    if (end) [this.#missing, this.#low, this.#high] = end;
  }

  /** Whether the text may end here. */
  get isBetweenCharacters(): boolean {
    return this.#missing === 0;
  }

  #follow(bytes: Uint8Array): [missing: number, low: number, high: number] | undefined {
    let [missing, low, high] = [this.#missing, this.#low, this.#high];
    for (const byte of bytes) {
      if (missing > 0) {
        if (byte < low || byte > high) return undefined;
        [missing, low, high] = [missing - 1, 0x80, 0xbf];
      } else if (byte >= 0x80) {
        if (byte < 0xc2 || byte > 0xf4) return undefined; // a continuation, a longer spelling, or beyond U+10FFFF
        missing = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
        low = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
        high = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
      }
    }
    return [missing, low, high];
  }
}
