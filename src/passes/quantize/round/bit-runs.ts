// Codes of a few bits spread over a block's bytes. Every scalar type of ggml stores them as runs: neighbouring codes have
// their bits in neighbouring bytes, at the same place in each byte. A code's bits may come from several runs.

/** The codes `first … first + count − 1` have `bits` of their bits in as many bytes from `byte` on. */
export interface BitRun {
  /** Index of the first code in the block. */
  first: number;
  count: number;
  /** Offset of the first byte in the block. */
  byte: number;
  /** Place of the bits in each byte. */
  shift: number;
  bits: number;
  /** Place of the bits in each code. */
  position: number;
}

/**
 * The usual arrangement of `codes` codes: `width` codes side by side fill the low bits of `width` bytes, the next `width`
 * the bits above those, and when the bytes are full it goes on behind them.
 *
 * @param byte offset of the first byte in the block
 * @param bits bits of each code that are stored here, a divisor of 8
 * @param position place of those bits in the code
 */
export function bitPlane(codes: number, byte: number, width: number, bits: number, position = 0): BitRun[] {
  const turns = 8 / bits;
  return Array.from({ length: codes / width }, (_, run) => ({
    first: run * width,
    count: width,
    byte: byte + Math.floor(run / turns) * width,
    shift: (run % turns) * bits,
    bits,
    position,
  }));
}

/** Adds the bits of the block at `byteStart` to the codes from `codeStart` on, which are zero before. */
export function readRuns(
  runs: readonly BitRun[],
  bytes: Uint8Array,
  byteStart: number,
  codes: Uint8Array,
  codeStart: number,
): void {
  for (const { first, count, byte, shift, bits, position } of runs) {
    const mask = (1 << bits) - 1;
    const from = byteStart + byte;
    const to = codeStart + first;
    for (let i = 0; i < count; i++) codes[to + i]! |= ((bytes[from + i]! >>> shift) & mask) << position;
  }
}

/** Adds the codes' bits to the block at `byteStart`, where those bits are zero before. */
export function writeRuns(
  runs: readonly BitRun[],
  codes: Uint8Array,
  codeStart: number,
  bytes: Uint8Array,
  byteStart: number,
): void {
  for (const { first, count, byte, shift, bits, position } of runs) {
    const mask = (1 << bits) - 1;
    const from = codeStart + first;
    const to = byteStart + byte;
    for (let i = 0; i < count; i++) bytes[to + i]! |= ((codes[from + i]! >>> position) & mask) << shift;
  }
}
