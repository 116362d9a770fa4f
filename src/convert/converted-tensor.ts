// A tensor of the output that is made of a checkpoint's when someone reads it: rows in another order, experts stacked,
// values in another type. What is held is the rows that are asked for, and the heads that they are part of.
import { FormatError, PareError } from "../errors.js";
import { GGML_TYPES, type GgmlType } from "../formats/gguf/ggml-types.js";
import type { Config } from "../formats/huggingface/config.js";
import type { Weight } from "../formats/huggingface/open-weights.js";
import { type LazyTensor, elementCount, rowCount, tensorSizeBytes } from "../model/model.js";
import type { GgmlLibrary } from "../native/engine.js";
import { dequantize, quantizeRows, validateRows } from "../native/ggml.js";
import type { ComputedTensor } from "./family.js";
import type { MappedTensor } from "./map-tensors.js";

const TYPE_OF_DTYPE: Readonly<Record<string, GgmlType>> = {
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
  F64: "f64",
  Q4_0: "q4_0", // the block types are those of quantized checkpoints: quantized/restore.ts
  Q8_0: "q8_0",
};

/**
 * The tensor in the type that llama.cpp's converter would give it.
 *
 * @param type of matrices; norms, biases and routers are `f32`
 * @param keepsBlocks leave what is in blocks already as it is, whatever the type
 * @throws {FormatError} when it has no shape that GGUF holds, or no whole heads
 */
export function convertedTensor(
  { name, rule, parts }: MappedTensor,
  type: GgmlType,
  config: Config,
  engine: () => GgmlLibrary,
  keepsBlocks = false,
): LazyTensor {
  const [first] = parts as [Weight];
  const shape = first.shape.toReversed();
  if (parts.length > 1) shape.push(parts.length);
  if (shape.length < 1 || shape.length > 4 || elementCount(shape) === 0) throw badShape(first);
  const units = new Units(parts, rule.heads ? headRows(first, rule.heads(config)) : 1);
  const given = TYPE_OF_DTYPE[first.dtype]!;
  const isKept = keepsBlocks && GGML_TYPES[given].blockSize > 1;
  const wanted = isKept ? given : typeOf(name, shape, type);
  const rows = rowCount(shape);
  return {
    name,
    shape,
    type: wanted,
    sizeBytes: tensorSizeBytes(wanted, shape),
    async readRows(start, count) {
      if (!(start >= 0 && count >= 0 && start + count <= rows)) {
        throw new RangeError(`Tensor "${name}" has ${rows} rows, not ${count} from ${start}`);
      }
      // A vector is one row, of which each element may have a place of its own.
      const unitsPerRow = shape.length === 1 ? shape[0]! : 1;
      const bytes = await units.read(start * unitsPerRow, count * unitsPerRow);
      if (given === wanted && !rule.plus) return requireFinite(engine(), name, given, bytes);
      const values = toFloats(engine(), given, requireFinite(engine(), name, given, bytes), count * shape[0]!);
      if (rule.plus) for (let i = 0; i < values.length; i++) values[i]! += rule.plus;
      if (wanted === "f32") return bytesOf(values);
      return requireFinite(engine(), name, wanted, quantizeRows(engine(), wanted, values, shape[0]!), given);
    },
  };
}

/** A vector of the configuration's. */
export function computedTensor({ name, values }: ComputedTensor): LazyTensor {
  const bytes = bytesOf(values);
  return { name, shape: [values.length], type: "f32", sizeBytes: bytes.byteLength, readRows: async () => bytes };
}

/** What llama.cpp keeps in single precision: vectors, norms, routers; and rows that no block type divides go to half. */
function typeOf(name: string, shape: readonly number[], type: GgmlType): GgmlType {
  const isPlain = shape.length === 1 || !name.endsWith(".weight") || /_norm\.weight$|\.ffn_gate_inp/.test(name);
  if (isPlain) return "f32";
  return shape[0]! % GGML_TYPES[type].blockSize === 0 ? type : "f16";
}

/** Rows of one head: within it, those of both halves will take turns. */
function headRows({ name, shape, file }: Weight, heads: number): number {
  const rows = shape[0]!;
  if (rows % (2 * heads) === 0) return rows / heads;
  const message = `Cannot convert "${file.path}": tensor "${name}" has ${rows} rows, which are no ${heads} heads of even length`;
  throw new FormatError(file.path, message);
}

/** The stacked parts cut along their first dimension in PyTorch's order, read in GGUF's order. */
class Units {
  readonly #parts: readonly Weight[];
  readonly #perPart: number;
  readonly #unitBytes: number;
  /** Units that change places among themselves; 1 where none does. */
  readonly #block: number;

  constructor(parts: readonly Weight[], block: number) {
    const [first] = parts as [Weight];
    // A unit is a row: of a tensor with three dimensions, too, all but the last are counted through.
    this.#perPart = first.shape.length === 1 ? first.shape[0]! : elementCount(first.shape.slice(0, -1));
    this.#unitBytes = first.sizeBytes / this.#perPart;
    this.#parts = parts;
    this.#block = block;
  }

  async read(start: number, count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count * this.#unitBytes);
    for (let done = 0; done < count;) {
      const at = start + done;
      const inPart = at % this.#perPart;
      const step = Math.min(count - done, this.#perPart - inPart);
      const into = bytes.subarray(done * this.#unitBytes, (done + step) * this.#unitBytes);
      await this.#readPart(this.#parts[Math.floor(at / this.#perPart)]!, inPart, step, into);
      done += step;
    }
    return bytes;
  }

  async #readPart(part: Weight, start: number, count: number, into: Uint8Array): Promise<void> {
    const size = this.#unitBytes;
    if (this.#block === 1) return void (await part.read(start * size, count * size, into));
    const block = this.#block;
    const first = Math.floor(start / block) * block;
    const last = Math.ceil((start + count) / block) * block;
    const heads = await part.read(first * size, (last - first) * size);
    for (let i = 0; i < count; i++) {
      const row = start + i - first;
      const from = row - (row % block) + interleaved(row % block, block);
      into.set(heads.subarray(from * size, (from + 1) * size), i * size);
    }
  }
}

/** Where the row comes from that is to stand at `row` of a head: 0, half, 1, half + 1, … */
function interleaved(row: number, length: number): number {
  return (row >> 1) + (row % 2) * (length / 2);
}

function toFloats(engine: GgmlLibrary, type: GgmlType, bytes: Uint8Array, count: number): Float32Array {
  if (type === "f64") return Float32Array.from(new Float64Array(bytes.buffer, bytes.byteOffset, count));
  if (type === "f32") return new Float32Array(bytes.buffer, bytes.byteOffset, count);
  return dequantize(engine, type, bytes, count);
}

/** Refuses NaN and infinity, in weights and in what comes of them. */
function requireFinite(engine: GgmlLibrary, name: string, type: GgmlType, bytes: Uint8Array, from = type): Uint8Array {
  if (validateRows(engine, type, bytes)) return bytes;
  if (type === from) {
    throw new PareError(`Tensor "${name}" holds a value that is not a number or is infinite`, {
      hint: "The checkpoint is damaged; download it again",
    });
  }
  throw new PareError(`Tensor "${name}" has values too large for ${type}`, { hint: "Convert with --type bf16" });
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function badShape({ name, shape, file }: Weight): FormatError {
  const message = `Cannot convert "${file.path}": tensor "${name}" has shape [${shape.join(", ")}], 1 to 3 dimensions above 0 are wanted`;
  return new FormatError(file.path, message);
}
