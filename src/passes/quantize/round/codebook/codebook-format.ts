// Where the codebook types keep what in their blocks of 256 weights: facts of the file format, after the structures of
// ggml-common.h and the decoders of ggml-quants.c. No bit of a block is unused, so bytes survive being read and written.
//
// A weight is superScale · (2 · scale + 1) · ±magnitude. The magnitudes come 8 or 4 at a time out of a codebook, the signs
// 8 at a time, and one scale of four bits serves 16 or 32 weights.
import type { GgmlType } from "../../../../formats/gguf/ggml-types.js";

/** The types whose magnitudes are looked up several at a time. */
export type CodebookType = "iq2_xxs" | "iq2_xs" | "iq2_s" | "iq3_xxs" | "iq3_s";

/** Equal fields of a block, which is read as one little-endian number. */
export interface BitFields {
  /** Bit at which the first field starts. */
  start: number;
  /** Bits per field. */
  width: number;
  /** Bits from one field's start to the next one's. */
  stride: number;
  /** Fields that lie a stride apart; absent: all. */
  perChunk?: number;
  /** Bits from one such chunk's start to the next one's. */
  chunkStride?: number;
}

export interface CodebookFormat {
  readonly type: CodebookType;
  readonly blockBytes: number;
  /** Codewords in the codebook. */
  readonly codewords: number;
  /** Magnitudes per codeword: 8 or 4. */
  readonly codeLength: 8 | 4;
  /** Weights that share a scale: 16 or 32. */
  readonly groupWeights: 16 | 32;
  /** True where only seven of eight signs are stored: the number of minus signs is even. */
  readonly isSignCountEven: boolean;
  /** Low bits of each code. */
  readonly codes: BitFields;
  /** The bits above those, where they lie elsewhere. */
  readonly codesHigh?: BitFields;
  /** One field for eight weights; a set bit is a minus sign. */
  readonly signs: BitFields;
  readonly scales: BitFields;
}

/** Weights that share a superscale. */
export const BLOCK_WEIGHTS = 256;
/** Weights whose signs are stored together. */
export const SIGN_WEIGHTS = 8;
/** The largest scale. */
export const SCALE_MAX = 15;

const perWord = { perChunk: 4, chunkStride: 32 };
const perTwoWords = { perChunk: 4, chunkStride: 64 };

// Every block begins with its superscale, a float16.
const FORMATS: readonly CodebookFormat[] = [
  {
    type: "iq2_xxs",
    blockBytes: 66,
    codewords: 256,
    codeLength: 8,
    groupWeights: 32,
    isSignCountEven: true,
    codes: { start: 16, width: 8, stride: 8, ...perTwoWords },
    signs: { start: 48, width: 7, stride: 7, ...perTwoWords },
    scales: { start: 76, width: 4, stride: 64 },
  },
  {
    type: "iq2_xs",
    blockBytes: 74,
    codewords: 512,
    codeLength: 8,
    groupWeights: 16,
    isSignCountEven: true,
    codes: { start: 16, width: 9, stride: 16 },
    signs: { start: 25, width: 7, stride: 16 },
    scales: { start: 528, width: 4, stride: 4 },
  },
  {
    type: "iq2_s",
    blockBytes: 82,
    codewords: 1024,
    codeLength: 8,
    groupWeights: 16,
    isSignCountEven: false,
    codes: { start: 16, width: 8, stride: 8 },
    codesHigh: { start: 528, width: 2, stride: 2 },
    signs: { start: 272, width: 8, stride: 8 },
    scales: { start: 592, width: 4, stride: 4 },
  },
  {
    type: "iq3_xxs",
    blockBytes: 98,
    codewords: 256,
    codeLength: 4,
    groupWeights: 32,
    isSignCountEven: true,
    codes: { start: 16, width: 8, stride: 8 },
    signs: { start: 528, width: 7, stride: 7, ...perWord },
    scales: { start: 556, width: 4, stride: 32 },
  },
  {
    type: "iq3_s",
    blockBytes: 110,
    codewords: 512,
    codeLength: 4,
    groupWeights: 32,
    isSignCountEven: false,
    codes: { start: 16, width: 8, stride: 8 },
    codesHigh: { start: 528, width: 1, stride: 1 },
    signs: { start: 592, width: 8, stride: 8 },
    scales: { start: 848, width: 4, stride: 4 },
  },
];

/** The types that have a codebook, smallest first. */
export const CODEBOOK_TYPES: readonly CodebookType[] = FORMATS.map(({ type }) => type);

/** The type's format, or undefined when it has no codebook. */
export function codebookFormat(type: GgmlType): CodebookFormat | undefined {
  return FORMATS.find((format) => format.type === type);
}
