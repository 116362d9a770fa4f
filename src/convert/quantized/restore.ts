// The weights of a quantized checkpoint as plain ones: floats that are computed when someone reads them, or, where a ggml type holds
// the same numbers, its blocks. q4_0 and q8_0 do where codes lie around the middle, scales are halves, and 32 neighbours share one.
import type { Config } from "../../formats/huggingface/config.js";
import type { Weight } from "../../formats/huggingface/open-weights.js";
import { fromFloat16, toFloat16 } from "../../support/float16.js";
import { type LayerTensors, type Layout, layoutOf } from "./layouts.js";
import { type PackedMatrix, dequantizeRow } from "./packed-matrix.js";

/**
 * Puts weights in the place of a checkpoint's quantized ones.
 *
 * @param config the checkpoint's own
 * @throws {FormatError} when they are quantized in a way that is not read, or do not fit each other
 */
export async function restoreWeights(
  weights: ReadonlyMap<string, Weight>,
  config: Config,
): Promise<ReadonlyMap<string, Weight>> {
  const quantization = config.section("quantization_config") ?? config.section("compression_config");
  if (!quantization) return weights;
  const layout = layoutOf(quantization);
  const restored = new Map<string, Weight>();
  const slot = new Slot();
  for (const [name, weight] of weights) {
    const { layer, suffix } = splitName(name, layout);
    const isCodes = suffix === layout.codes && !["F32", "F16", "BF16"].includes(weight.dtype);
    if (isCodes) restored.set(`${layer}.weight`, await restoredWeight(layer, weights, layout, slot));
    else if (suffix === undefined || suffix === ".weight") restored.set(name, weight);
  }
  return restored;
}

function splitName(name: string, { suffixes }: Layout): { layer: string; suffix: string | undefined } {
  const suffix = suffixes.find((one) => name.endsWith(one));
  return { layer: suffix === undefined ? name : name.slice(0, -suffix.length), suffix };
}

/** The matrix that was read last: tensors are read row after row, and unpacked as a whole. */
class Slot {
  #layer = "";
  #matrix: Promise<PackedMatrix> | undefined;

  get(layer: string, open: () => Promise<PackedMatrix>): Promise<PackedMatrix> {
    if (this.#layer !== layer) this.#matrix = undefined;
    this.#layer = layer;
    return (this.#matrix ??= open());
  }
}

async function restoredWeight(
  layer: string,
  weights: ReadonlyMap<string, Weight>,
  layout: Layout,
  slot: Slot,
): Promise<Weight> {
  const tensors: LayerTensors = new Map(
    [layout.codes, ...layout.suffixes].flatMap((suffix) => {
      const weight = weights.get(layer + suffix);
      return weight ? [[suffix, weight] as const] : [];
    }),
  );
  layout.requireFit(tensors);
  const open = (): Promise<PackedMatrix> => slot.get(layer, () => layout.open(tensors));
  const opened = await open();
  const { rows, columns } = opened;
  const block = blockOf(opened, layout.bits);
  const { file } = tensors.get(layout.codes)!;
  const rowBytes = block ? (columns / BLOCK) * block.bytes : columns * 4;
  return {
    name: `${layer}.weight`,
    dtype: block?.dtype ?? "F32",
    shape: [rows, columns],
    sizeBytes: rows * rowBytes,
    file,
    async read(start, length, into = new Uint8Array(length)) {
      const matrix = await open();
      for (let at = 0; at < length; at += rowBytes) {
        const row = (start + at) / rowBytes; // rows are read whole
        if (block) block.write(matrix, row, into.subarray(at, at + rowBytes));
        else {
          const values = new Float32Array(columns);
          dequantizeRow(matrix, row, values);
          into.set(new Uint8Array(values.buffer), at);
        }
      }
      return into;
    },
  };
}

const BLOCK = 32;

interface BlockType {
  dtype: "Q4_0" | "Q8_0";
  bytes: number;
  /** The zero point that the type has. */
  zero: number;
  write(matrix: PackedMatrix, row: number, into: Uint8Array): void;
}

/** d, then 16 bytes: the codes of the first half of a block in their low halves, those of the second in the high ones. */
const Q4_0: BlockType = {
  dtype: "Q4_0",
  bytes: 18,
  zero: 8,
  write(matrix, row, into) {
    for (let first = 0, at = 0; first < matrix.columns; first += BLOCK, at += 18) {
      writeScale(matrix, row, first, into, at);
      for (let i = 0; i < 16; i++) {
        into[at + 2 + i] = matrix.code(row, first + i) | (matrix.code(row, first + 16 + i) << 4);
      }
    }
  },
};

/** d, then 32 signed bytes. */
const Q8_0: BlockType = {
  dtype: "Q8_0",
  bytes: 34,
  zero: 128,
  write(matrix, row, into) {
    for (let first = 0, at = 0; first < matrix.columns; first += BLOCK, at += 34) {
      writeScale(matrix, row, first, into, at);
      for (let i = 0; i < BLOCK; i++) into[at + 2 + i] = matrix.code(row, first + i) - 128;
    }
  },
};

function writeScale(matrix: PackedMatrix, row: number, column: number, into: Uint8Array, at: number): void {
  const bits = toFloat16(matrix.scale(row, matrix.groupOf(column)));
  into[at] = bits & 255;
  into[at + 1] = bits >>> 8;
}

/** The ggml type that holds every number of a matrix exactly, if there is one. */
function blockOf(matrix: PackedMatrix, bits: number): BlockType | undefined {
  const type = bits === 4 ? Q4_0 : bits === 8 ? Q8_0 : undefined;
  if (!type || matrix.columns % BLOCK !== 0) return undefined;
  const groups = new Set<number>();
  for (let first = 0; first < matrix.columns; first += BLOCK) {
    const group = matrix.groupOf(first);
    for (let i = 1; i < BLOCK; i++) if (matrix.groupOf(first + i) !== group) return undefined;
    groups.add(group);
  }
  for (let row = 0; row < matrix.rows; row++) {
    for (const group of groups) {
      const scale = matrix.scale(row, group);
      if (matrix.zero(row, group) !== type.zero || fromFloat16(toFloat16(scale)) !== scale) return undefined;
    }
  }
  return type;
}
