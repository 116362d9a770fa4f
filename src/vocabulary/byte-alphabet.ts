// GPT-2's way of writing bytes as visible characters: printable ones stand for themselves, the others for the characters
// from U+0100 on, in order. Byte-level vocabularies are written in it, in tokenizer.json as in GGUF.

/** The character of each byte. */
export const BYTE_CHARACTERS: readonly string[] = byteCharacters();

const BYTES = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]));

function byteCharacters(): string[] {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : next++));
}

/** Text as the characters of its UTF-8 bytes. */
export function toByteCharacters(text: string): string {
  let written = "";
  for (const byte of Buffer.from(text)) written += BYTE_CHARACTERS[byte];
  return written;
}

/**
 * The bytes that a token of the vocabulary stands for.
 *
 * @throws {RangeError} at a character that stands for no byte
 */
export function fromByteCharacters(written: string): Uint8Array {
  return Uint8Array.from(written, (character) => {
    const byte = BYTES.get(character);
    if (byte === undefined) throw new RangeError(`"${character}" stands for no byte`);
    return byte;
  });
}
