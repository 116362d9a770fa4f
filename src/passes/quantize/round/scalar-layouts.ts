// Where each scalar type keeps what in its blocks: facts of the file format, after the structures of ggml-common.h and
// the decoders of ggml-quants.c. No bit of a block is unused: what is read and written again is the same bytes.
import { type BitRun, bitPlane } from "./bit-runs.js";

/** The types whose weights are rounded one at a time: code times scale, less an offset. */
export type ScalarType =
  | "q4_0"
  | "q4_1"
  | "q5_0"
  | "q5_1"
  | "q8_0"
  | "iq4_nl"
  | "q2_K"
  | "q3_K"
  | "q4_K"
  | "q5_K"
  | "q6_K"
  | "iq4_xs";

export interface ScalarLayout {
  blockWeights: number;
  groupWeights: number;
  /** Code to value before scaling, ascending. */
  levels: readonly number[];
  codes: readonly BitRun[];
  /** Turned over in every code: a byte with a sign sorts as an unsigned one then. */
  codeFlip: number;
  /** Offset of the float16 that multiplies the scales. */
  superScale: number;
  /** Offset of the float16 that multiplies the mins; absent when values have no offset. */
  superMin?: number;
  /** True where that float16 is added rather than subtracted, and no integer multiplies it. */
  superMinAdded?: boolean;
  /** A block's scales, then its mins; absent where scale (and min) are one. */
  groups?: readonly BitRun[];
  /** As `codeFlip`, for the scales; the mins have no sign. */
  scaleFlip: number;
  /** The scale whose stored bits, turned over, are zero. */
  scaleMin: number;
  scaleMax: number;
  /** The largest min; 0 when values have no offset. */
  minMax: number;
}

const IQ4_LEVELS = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/** Types with one scale for 32 weights and, with the suffix `_1`, one offset. */
const plain = {
  blockWeights: 32,
  groupWeights: 32,
  codeFlip: 0,
  superScale: 0,
  scaleFlip: 0,
  scaleMin: 1,
  scaleMax: 1,
  minMax: 0,
} as const;
const added = { superMin: 2, superMinAdded: true, minMax: 1 } as const;
const nibbles32 = (byte: number) => bitPlane(32, byte, 16, 4);
const fifthBits32 = (byte: number) => bitPlane(32, byte, 1, 1, 4);

/** Types with 256 weights and one float16 scale for the scales of 8 or 16 groups. */
const groups16 = { blockWeights: 256, groupWeights: 16, codeFlip: 0, scaleFlip: 0, minMax: 0 } as const;
const groups32 = { ...groups16, groupWeights: 32 } as const;
const nibbles256 = (byte: number) => bitPlane(256, byte, 32, 4);

/** Eight scales and eight mins of 6 bits in 12 bytes from the fifth on, as q4_K and q5_K have them. */
const sixBits: readonly BitRun[] = [
  { first: 0, count: 4, byte: 4, shift: 0, bits: 6, position: 0 }, // scales 0–3
  { first: 8, count: 4, byte: 8, shift: 0, bits: 6, position: 0 }, // mins 0–3
  { first: 4, count: 4, byte: 12, shift: 0, bits: 4, position: 0 }, // scales 4–7
  { first: 12, count: 4, byte: 12, shift: 4, bits: 4, position: 0 }, // mins 4–7
  { first: 4, count: 4, byte: 4, shift: 6, bits: 2, position: 4 }, // and what the first four leave free
  { first: 12, count: 4, byte: 8, shift: 6, bits: 2, position: 4 },
];
const sixBitMins = { ...groups32, superScale: 0, superMin: 2, groups: sixBits, scaleMin: 0, scaleMax: 63, minMax: 63 };

export const SCALAR_LAYOUTS: Readonly<Record<ScalarType, ScalarLayout>> = {
  q4_0: { ...plain, levels: integers(-8, 7), codes: nibbles32(2) },
  q4_1: { ...plain, ...added, levels: integers(0, 15), codes: nibbles32(4) },
  q5_0: { ...plain, levels: integers(-16, 15), codes: [...nibbles32(6), ...fifthBits32(2)] },
  q5_1: { ...plain, ...added, levels: integers(0, 31), codes: [...nibbles32(8), ...fifthBits32(4)] },
  q8_0: { ...plain, levels: integers(-128, 127), codes: bitPlane(32, 2, 32, 8), codeFlip: 0x80 },
  iq4_nl: { ...plain, levels: IQ4_LEVELS, codes: nibbles32(2) },
  q2_K: {
    ...groups16,
    levels: integers(0, 3),
    codes: bitPlane(256, 16, 32, 2),
    superScale: 80,
    superMin: 82,
    groups: bitPlane(32, 0, 16, 4),
    scaleMin: 0,
    scaleMax: 15,
    minMax: 15,
  },
  q3_K: {
    ...groups16,
    levels: integers(-4, 3),
    codes: [...bitPlane(256, 32, 32, 2), ...bitPlane(256, 0, 32, 1, 2)],
    superScale: 108,
    groups: [...bitPlane(16, 96, 8, 4), ...bitPlane(16, 104, 4, 2, 4)],
    scaleMin: -32,
    scaleMax: 31,
  },
  q4_K: { ...sixBitMins, levels: integers(0, 15), codes: nibbles256(16) },
  q5_K: { ...sixBitMins, levels: integers(0, 31), codes: [...nibbles256(48), ...bitPlane(256, 16, 32, 1, 4)] },
  q6_K: {
    ...groups16,
    levels: integers(-32, 31),
    codes: [...bitPlane(256, 0, 64, 4), ...bitPlane(256, 128, 32, 2, 4)],
    superScale: 208,
    groups: bitPlane(16, 192, 16, 8),
    scaleFlip: 0x80,
    scaleMin: -128,
    scaleMax: 127,
  },
  iq4_xs: {
    ...groups32,
    levels: IQ4_LEVELS,
    codes: bitPlane(256, 8, 16, 4),
    superScale: 0,
    groups: [...bitPlane(8, 4, 1, 4), ...bitPlane(8, 2, 1, 2, 4)],
    scaleMin: -32,
    scaleMax: 31,
  },
};

function integers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}
