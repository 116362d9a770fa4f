// The types a tensor in a GGUF file can have: number, block length and block size, as in ggml.h and ggml-common.h.
// Names are ggml's own spelling. Numbers that ggml gave up (4, 5, 31–33, 36–38) are absent.

/** What one ggml type looks like in memory. */
export interface GgmlTypeInfo {
  /** The number that stands in the file. */
  readonly id: number;
  /** Elements per block; a row is a whole number of blocks. */
  readonly blockSize: number;
  /** Bytes per block. */
  readonly typeSizeBytes: number;
  readonly bitsPerWeight: number;
  /** True for the block types, false for plain numbers. */
  readonly quantized: boolean;
}

// name: [id, elements per block, bytes per block]
const BLOCKS = {
  f32: [0, 1, 4],
  f16: [1, 1, 2],
  q4_0: [2, 32, 18],
  q4_1: [3, 32, 20],
  q5_0: [6, 32, 22],
  q5_1: [7, 32, 24],
  q8_0: [8, 32, 34],
  q8_1: [9, 32, 36],
  q2_K: [10, 256, 84],
  q3_K: [11, 256, 110],
  q4_K: [12, 256, 144],
  q5_K: [13, 256, 176],
  q6_K: [14, 256, 210],
  q8_K: [15, 256, 292],
  iq2_xxs: [16, 256, 66],
  iq2_xs: [17, 256, 74],
  iq3_xxs: [18, 256, 98],
  iq1_s: [19, 256, 50],
  iq4_nl: [20, 32, 18],
  iq3_s: [21, 256, 110],
  iq2_s: [22, 256, 82],
  iq4_xs: [23, 256, 136],
  i8: [24, 1, 1],
  i16: [25, 1, 2],
  i32: [26, 1, 4],
  i64: [27, 1, 8],
  f64: [28, 1, 8],
  iq1_m: [29, 256, 56],
  bf16: [30, 1, 2],
  tq1_0: [34, 256, 54],
  tq2_0: [35, 256, 66],
  mxfp4: [39, 32, 17],
  nvfp4: [40, 64, 36],
  q1_0: [41, 128, 18],
  q2_0: [42, 64, 18],
} as const satisfies Record<string, readonly [number, number, number]>;

/** A ggml type's name, as ggml spells it: `f16`, `q4_K`, `iq4_xs`. */
export type GgmlType = keyof typeof BLOCKS;

/** Every ggml type by name. */
export const GGML_TYPES: Readonly<Record<GgmlType, GgmlTypeInfo>> = Object.fromEntries(
  Object.entries(BLOCKS).map(([name, [id, blockSize, typeSizeBytes]]) => [
    name,
    { id, blockSize, typeSizeBytes, bitsPerWeight: (typeSizeBytes * 8) / blockSize, quantized: blockSize > 1 },
  ]),
) as Record<GgmlType, GgmlTypeInfo>;

const NAMES = Object.keys(BLOCKS) as GgmlType[];
const NAME_BY_ID = new Map<number, GgmlType>(NAMES.map((name) => [GGML_TYPES[name].id, name]));
const NAME_BY_LOWER_CASE = new Map<string, GgmlType>(NAMES.map((name) => [name.toLowerCase(), name]));

/** The type with this number, or undefined when ggml has none. */
export function ggmlTypeById(id: number): GgmlType | undefined {
  return NAME_BY_ID.get(id);
}

/**
 * Reads a type's name in either case: `Q4_K` and `q4_k` are `q4_K`.
 *
 * @throws {RangeError} listing the names when there is no such type
 */
export function parseGgmlType(text: string): GgmlType {
  const name = NAME_BY_LOWER_CASE.get(text.trim().toLowerCase());
  if (!name) throw new RangeError(`"${text}" is not a ggml type; there are ${NAMES.join(", ")}`);
  return name;
}

/**
 * Bytes of one row.
 *
 * @param columns elements of the row (ne0)
 * @throws {RangeError} when the row is not a whole number of blocks
 */
export function rowSizeBytes(type: GgmlType, columns: number): number {
  const { blockSize, typeSizeBytes } = GGML_TYPES[type];
  if (columns % blockSize !== 0) {
    throw new RangeError(`A row of ${columns} elements is not a multiple of the ${blockSize} in a block of ${type}`);
  }
  return (columns / blockSize) * typeSizeBytes;
}
