// One window of a baseline file, as bytes. Little-endian, arrays one after another in falling alignment:
//
//   u32 scored tokens, u32 kept entries, u32 bytes of kept ids, u32 bytes of sampled ids
//   f64 -ln p(token) [scored]      f64 mass of the rest [scored]
//   i32 token ids [contextLength]  i32 top tokens [scored]       u32 kept entries [scored]
//   u16 codes [kept]               u16 codes of the samples [SAMPLES × scored tokens that have a rest]
//   ids as differences, each 7 bits a byte, the high bit set on all but the last (LEB128): kept, then sampled
import { type CompactDistributions, REST_MIN, SAMPLES } from "./compact-distribution.js";

const HEAD_BYTES = 16;

/** A window's tokens and what the baseline predicts after each of its scored ones. */
export interface BaselineWindow {
  /** As in the text: the first is not yet replaced by BOS. */
  tokens: Int32Array;
  distributions: CompactDistributions;
}

export function encodeWindow({ tokens, distributions }: BaselineWindow): Uint8Array {
  const { ids, codes, starts, restMasses, topTokens, negativeLogLikelihoods } = distributions;
  const scored = restMasses.length;
  const samples = sampledOnly(distributions);
  const keptGaps = encodeIds(ids, starts);
  const sampleGaps = encodeIds(samples.ids, samples.starts);
  const counts = Uint32Array.from({ length: scored }, (_, i) => starts[i + 1]! - starts[i]!);
  const head = Uint32Array.of(scored, ids.length, keptGaps.byteLength, sampleGaps.byteLength);
  return Buffer.concat(
    [
      head,
      negativeLogLikelihoods,
      restMasses,
      tokens,
      topTokens,
      counts,
      codes,
      samples.codes,
      keptGaps,
      sampleGaps,
    ].map((part) => new Uint8Array(part.buffer, part.byteOffset, part.byteLength)),
  );
}

/**
 * Reads what {@link encodeWindow} wrote, trusting nothing.
 *
 * @throws {RangeError} saying what does not fit
 */
export function decodeWindow(bytes: Uint8Array, contextLength: number, vocabularySize: number): BaselineWindow {
  const cursor = new Cursor(bytes);
  const [scored, kept, keptBytes, sampleBytes] = cursor.take(Uint32Array, HEAD_BYTES / 4) as unknown as [
    number,
    number,
    number,
    number,
  ];
  if (scored !== scoredPerWindow(contextLength)) {
    throw new RangeError(
      `it has ${scored} scored tokens where a window of ${contextLength} has ${scoredPerWindow(contextLength)}`,
    );
  }
  const negativeLogLikelihoods = cursor.take(Float64Array, scored);
  const restMasses = cursor.take(Float64Array, scored);
  const tokens = cursor.take(Int32Array, contextLength);
  const topTokens = cursor.take(Int32Array, scored);
  const counts = cursor.take(Uint32Array, scored);
  const codes = cursor.take(Uint16Array, kept);
  requireEvery(negativeLogLikelihoods, (value) => value >= -1e-3 && value < Infinity, "likelihood");
  requireEvery(restMasses, (value) => value >= 0 && value <= 1, "mass");
  requireEvery(tokens, (value) => value >= 0 && value < vocabularySize, "token id");
  requireEvery(topTokens, (value) => value >= 0 && value < vocabularySize, "top token");
  const starts = startsOf(counts);
  if (starts[scored] !== kept || counts.includes(0)) throw new RangeError("its counts of kept entries don't add up");
  const sampleCounts = Uint32Array.from(restMasses, (rest) => (rest >= REST_MIN ? SAMPLES : 0));
  const sampleStarts = startsOf(sampleCounts);
  const sampleCodesPacked = cursor.take(Uint16Array, sampleStarts[scored]!);
  const ids = decodeIds(cursor.take(Uint8Array, keptBytes), starts, vocabularySize, 1);
  const sampleIdsPacked = decodeIds(cursor.take(Uint8Array, sampleBytes), sampleStarts, vocabularySize, 0);
  if (cursor.remaining !== 0) throw new RangeError(`${cursor.remaining} bytes are left over`);
  const sampleIds = new Int32Array(scored * SAMPLES).fill(-1);
  const sampleCodes = new Uint16Array(scored * SAMPLES);
  for (let i = 0; i < scored; i++) {
    sampleIds.set(sampleIdsPacked.subarray(sampleStarts[i], sampleStarts[i + 1]), i * SAMPLES);
    sampleCodes.set(sampleCodesPacked.subarray(sampleStarts[i], sampleStarts[i + 1]), i * SAMPLES);
  }
  const distributions = { ids, codes, starts, restMasses, sampleIds, sampleCodes, topTokens, negativeLogLikelihoods };
  return { tokens, distributions };
}

/**
 * Scored tokens of a window: all from a position on, less the last, which has no next one.
 *
 * @param firstScored by default the middle, as llama-perplexity does it
 */
export function scoredPerWindow(contextLength: number, firstScored = middleOf(contextLength)): number {
  return contextLength - 1 - firstScored;
}

/** Where a window's second half starts. */
export function middleOf(contextLength: number): number {
  return Math.floor(contextLength / 2);
}

function sampledOnly(distributions: CompactDistributions): {
  ids: Int32Array;
  codes: Uint16Array;
  starts: Uint32Array;
} {
  const { sampleIds, sampleCodes, restMasses } = distributions;
  const starts = startsOf(Uint32Array.from(restMasses, (rest) => (rest >= REST_MIN ? SAMPLES : 0)));
  const isSampled = (_: number, k: number): boolean => restMasses[Math.floor(k / SAMPLES)]! >= REST_MIN;
  return { ids: sampleIds.filter(isSampled), codes: sampleCodes.filter(isSampled), starts };
}

function startsOf(counts: Uint32Array): Uint32Array {
  const starts = new Uint32Array(counts.length + 1);
  for (let i = 0; i < counts.length; i++) starts[i + 1] = starts[i]! + counts[i]!;
  return starts;
}

function encodeIds(ids: Int32Array, starts: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(ids.length * 5);
  let size = 0;
  for (let i = 0; i + 1 < starts.length; i++) {
    let previous = 0;
    for (let k = starts[i]!; k < starts[i + 1]!; k++) {
      let gap = ids[k]! - previous;
      previous = ids[k]!;
      for (; gap > 127; gap >>>= 7) bytes[size++] = (gap & 127) | 128;
      bytes[size++] = gap;
    }
  }
  return bytes.slice(0, size);
}

/** @param stepMin least difference between neighbours: 1 where ids can't repeat */
function decodeIds(bytes: Uint8Array, starts: Uint32Array, vocabularySize: number, stepMin: number): Int32Array {
  const ids = new Int32Array(starts.at(-1)!);
  let position = 0;
  for (let i = 0; i + 1 < starts.length; i++) {
    let previous = 0;
    for (let k = starts[i]!; k < starts[i + 1]!; k++) {
      let gap = 0;
      let shift = 0;
      let byte = 128;
      while (byte > 127) {
        if (position === bytes.length || shift > 21) throw new RangeError("its token ids are cut off");
        byte = bytes[position++]!;
        gap += (byte & 127) << shift;
        shift += 7;
      }
      const id = previous + gap;
      if (id >= vocabularySize || (k > starts[i]! && gap < stepMin))
        throw new RangeError(`it names token ${id} of ${vocabularySize}`);
      ids[k] = previous = id;
    }
  }
  if (position !== bytes.length) throw new RangeError("it has more bytes of token ids than token ids");
  return ids;
}

function requireEvery(values: ArrayLike<number>, isRight: (value: number) => boolean, what: string): void {
  for (let i = 0; i < values.length; i++) {
    if (!isRight(values[i]!)) throw new RangeError(`it has ${values[i]} for a ${what}`);
  }
}

/** Takes typed arrays off the front of some bytes. */
class Cursor {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.byteLength - this.#position;
  }

  take<T>(type: { new (buffer: ArrayBuffer): T; BYTES_PER_ELEMENT: number }, count: number): T {
    const byteLength = count * type.BYTES_PER_ELEMENT;
    if (byteLength > this.remaining) throw new RangeError(`it ends ${byteLength - this.remaining} bytes early`);
    const copy = new Uint8Array(this.#bytes.subarray(this.#position, this.#position + byteLength)); // aligned by copying
    this.#position += byteLength;
    return new type(copy.buffer);
  }
}
