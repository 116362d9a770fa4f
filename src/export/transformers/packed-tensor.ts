// A matrix in the packed layout of compressed-tensors, which transformers and vLLM run: whole numbers in 32-bit words, a scale
// per 32 of them. Blocks of `q4_0`, `q5_0`, `q8_0` and `iq4_nl` are a scale times whole numbers, so they are rearranged, not
// rounded anew: codes of 4 bits for `q4_0`, of 8 for the others, and the file's own scales, which are of half precision.
// https://github.com/vllm-project/compressed-tensors (pack-quantized)
import type { RestoredTensor } from "../../convert/restore-tensors.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { SafetensorsTensorSource } from "../../formats/safetensors/write.js";
import type { OrderedRows } from "./decoded-rows.js";

/** Numbers with one scale, in GGUF's blocks as in the export. */
export const GROUP_SIZE = 32;
const SCALE_BYTES = 2;

/** A type of blocks that can be rearranged. */
interface Packable {
  readonly bits: 4 | 8;
  /** The numbers of a block, behind its scale, in their order. */
  codes(block: Uint8Array, into: Int8Array): void;
}

const IQ4_NL = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

const PACKABLE: Partial<Record<GgmlType, Packable>> = {
  q4_0: { bits: 4, codes: (block, into) => nibbles(block, into, (code) => code - 8) },
  iq4_nl: { bits: 8, codes: (block, into) => nibbles(block, into, (code) => IQ4_NL[code]!) },
  q5_0: { bits: 8, codes: fiveBits },
  q8_0: { bits: 8, codes: (block, into) => into.set(new Int8Array(block.buffer, block.byteOffset, GROUP_SIZE)) },
};

/** Bits of a code when blocks of this type are rearranged; undefined when they can't be. */
export function packedBits(type: GgmlType): 4 | 8 | undefined {
  return PACKABLE[type]?.bits;
}

/** The three tensors that stand for a matrix: `weight_packed`, `weight_scale`, `weight_shape`. */
export function packedTensors({ name, source }: RestoredTensor, ordered: OrderedRows): SafetensorsTensorSource[] {
  const { rows, columns } = ordered;
  const packable = PACKABLE[source.type]!;
  const shape = BigInt64Array.of(BigInt(rows), BigInt(columns));
  return [
    {
      name: `${name}_packed`,
      dtype: "I32",
      shape: [rows, (columns * packable.bits) / 32],
      chunks: () => mapped(ordered, (slab) => packedCodes(slab, ordered, packable)),
    },
    {
      name: `${name}_scale`,
      dtype: "F16",
      shape: [rows, columns / GROUP_SIZE],
      chunks: () => mapped(ordered, (slab) => scalesOf(slab, ordered)),
    },
    { name: `${name}_shape`, dtype: "I64", shape: [2], chunks: () => [new Uint8Array(shape.buffer)] },
  ];
}

async function* mapped(ordered: OrderedRows, map: (slab: Uint8Array) => Uint8Array): AsyncGenerator<Uint8Array> {
  for await (const slab of ordered.slabs()) yield map(slab);
}

function* blocksOf(slab: Uint8Array, { rowBytes, columns }: OrderedRows): Generator<Uint8Array> {
  const size = rowBytes / (columns / GROUP_SIZE);
  for (let at = 0; at < slab.byteLength; at += size) yield slab.subarray(at, at + size);
}

function scalesOf(slab: Uint8Array, ordered: OrderedRows): Uint8Array {
  const out: number[] = [];
  for (const block of blocksOf(slab, ordered)) out.push(...block.subarray(0, SCALE_BYTES));
  return Uint8Array.from(out);
}

/** Codes without their sign, the first in a word's lowest bits. */
function packedCodes(slab: Uint8Array, ordered: OrderedRows, { bits, codes }: Packable): Uint8Array {
  const perBlock = (GROUP_SIZE * bits) / 8;
  const blocks = (slab.byteLength / ordered.rowBytes) * (ordered.columns / GROUP_SIZE);
  const out = new Uint8Array(blocks * perBlock);
  const numbers = new Int8Array(GROUP_SIZE);
  let at = 0;
  for (const block of blocksOf(slab, ordered)) {
    codes(block.subarray(SCALE_BYTES), numbers);
    if (bits === 8) for (const number of numbers) out[at++] = number + 128;
    else for (let i = 0; i < GROUP_SIZE; i += 2) out[at++] = numbers[i]! + 8 + ((numbers[i + 1]! + 8) << 4);
  }
  return out;
}

/** The low halves of 16 bytes, then their high halves. */
function nibbles(block: Uint8Array, into: Int8Array, value: (code: number) => number): void {
  for (let i = 0; i < 16; i++) {
    into[i] = value(block[i]! & 15);
    into[i + 16] = value(block[i]! >> 4);
  }
}

/** Four bytes of fifth bits, one for each number, then nibbles. */
function fiveBits(block: Uint8Array, into: Int8Array): void {
  nibbles(block.subarray(4), into, (code) => code);
  for (let i = 0; i < GROUP_SIZE; i++) into[i]! += (((block[i >> 3]! >> (i & 7)) & 1) << 4) - 16;
}
