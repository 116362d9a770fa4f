// ggml's types and arithmetic on typed arrays: quantize, dequantize, validate, multiply. No model and no file is known here.
import koffi from "koffi";

import { EngineError } from "../errors.js";
import { STRUCTS } from "./abi.gen.js";
import { callAsync } from "./bindings.js";
import { type GgmlLibrary, viewBytes } from "./engine.js";

export interface GgmlTypeInfo {
  id: number;
  /** ggml's spelling, such as `q4_K`. */
  name: string;
  /** Weights per block. */
  blockSize: number;
  /** Bytes per block. */
  typeSizeBytes: number;
  isQuantized: boolean;
}

const typeTables = new WeakMap<GgmlLibrary, Map<string, GgmlTypeInfo>>();

/** Every type of the loaded library by name. */
export function ggmlTypes(engine: GgmlLibrary): ReadonlyMap<string, GgmlTypeInfo> {
  let table = typeTables.get(engine);
  if (!table) {
    table = new Map();
    for (let id = 0; id < GGML_TYPE_COUNT; id++) {
      const info = ggmlTypeInfo(engine, id);
      if (info.blockSize > 0 && info.typeSizeBytes > 0) table.set(info.name, info);
    }
    typeTables.set(engine, table);
  }
  return table;
}

const GGML_TYPE_COUNT = 43; // checked at start-up: it is the default of llama_model_quantize_params.output_tensor_type

export function ggmlTypeInfo(engine: GgmlLibrary, id: number): GgmlTypeInfo {
  return {
    id,
    name: engine.ggml.ggml_type_name(id) ?? "",
    blockSize: engine.ggml.ggml_blck_size(id),
    typeSizeBytes: engine.ggml.ggml_type_size(id),
    isQuantized: engine.ggml.ggml_is_quantized(id),
  };
}

/**
 * Quantized or half-precision bytes to floats, through ggml's own decoder.
 *
 * @param count number of weights, a multiple of the block size
 * @param out where to put them; made when absent
 * @throws {RangeError} when the bytes don't hold `count` weights
 */
export function dequantize(
  engine: GgmlLibrary,
  type: string,
  bytes: Uint8Array,
  count: number,
  out: Float32Array = new Float32Array(count),
): Float32Array {
  const info = requireType(engine, type);
  const wanted = (count / info.blockSize) * info.typeSizeBytes;
  if (bytes.byteLength < wanted || out.length < count) {
    throw new RangeError(
      `Cannot decode ${count} weights of ${type}: ${bytes.byteLength} bytes given, ${wanted} needed`,
    );
  }
  if (type === "f32") {
    new Uint8Array(out.buffer, out.byteOffset, wanted).set(bytes.subarray(0, wanted));
  } else if (type === "f16") {
    engine.ggml.ggml_fp16_to_fp32_row(bytes, out, count);
  } else if (type === "bf16") {
    engine.ggml.ggml_bf16_to_fp32_row(bytes, out, count);
  } else {
    koffi.call(decoderOf(engine, info), toFloat(), bytes, out, count);
  }
  return out;
}

/** `dequantize` on koffi's thread pool. The arrays must not change until it resolves. */
export async function dequantizeAsync(
  engine: GgmlLibrary,
  type: string,
  bytes: Uint8Array,
  count: number,
  out: Float32Array,
): Promise<Float32Array> {
  const info = requireType(engine, type);
  if (type === "f16") await callAsync(engine.ggml.ggml_fp16_to_fp32_row, bytes, out, count);
  else if (type === "bf16") await callAsync(engine.ggml.ggml_bf16_to_fp32_row, bytes, out, count);
  else if (type === "f32") return dequantize(engine, type, bytes, count, out);
  else await callAsync(decoderFunction(engine, info), bytes, out, count);
  return out;
}

/**
 * Floats to a type, through ggml's own encoder: `ggml_quantize_chunk`, the one that llama.cpp's quantizer calls.
 *
 * @param rows [columns × rows] weights
 * @param columns row length, a multiple of the type's block size
 * @param importance one non-negative weight per column, or absent
 * @throws {EngineError} when the type needs importance and none is given
 */
export function quantizeRows(
  engine: GgmlLibrary,
  type: string,
  rows: Float32Array,
  columns: number,
  importance?: Float32Array,
): Uint8Array {
  const { out, args } = prepareQuantize(engine, type, rows, columns, importance);
  engine.ggml.ggml_quantize_chunk(...args);
  return out;
}

/** `quantizeRows` on koffi's thread pool; several at once use several cores. The arrays must not change until it resolves. */
export async function quantizeRowsAsync(
  engine: GgmlLibrary,
  type: string,
  rows: Float32Array,
  columns: number,
  importance?: Float32Array,
  target?: Uint8Array,
): Promise<Uint8Array> {
  const { out, args } = prepareQuantize(engine, type, rows, columns, importance, target);
  await callAsync(engine.ggml.ggml_quantize_chunk, ...args);
  return out;
}

/** True for types that can't be quantized to without importance. */
export function isImportanceRequired(engine: GgmlLibrary, type: string): boolean {
  return engine.ggml.ggml_quantize_requires_imatrix(requireType(engine, type).id);
}

/** False when the bytes hold a NaN or infinity in a float or a block scale. */
export function validateRows(engine: GgmlLibrary, type: string, bytes: Uint8Array): boolean {
  return engine.ggml.ggml_validate_row_data(requireType(engine, type).id, bytes, bytes.byteLength);
}

/** The type's facts. @throws {EngineError} when the library has no such type */
export function requireType(engine: GgmlLibrary, type: string): GgmlTypeInfo {
  const info = ggmlTypes(engine).get(type);
  if (info) return info;
  throw new EngineError(`The native engine has no type "${type}"`);
}

/** A tensor's elements per dimension in ggml order, all four of them. */
export function tensorShape(tensor: bigint): [number, number, number, number] {
  shapeType ??= koffi.array("int64_t", 4);
  return Array.from(koffi.decode(tensor, SHAPE_OFFSET, shapeType) as ArrayLike<number | bigint>, Number) as [
    number,
    number,
    number,
    number,
  ];
}

const SHAPE_OFFSET = STRUCTS.ggml_tensor.fields.find(([name]) => name === "ne")![2];
let shapeType: ReturnType<typeof koffi.array> | undefined;

/** Reads native memory as floats, copied out. */
export function copyFloats(pointer: bigint, count: number): Float32Array {
  return new Float32Array(viewBytes(pointer, count * 4)).slice();
}

function prepareQuantize(
  engine: GgmlLibrary,
  type: string,
  rows: Float32Array,
  columns: number,
  importance?: Float32Array,
  target?: Uint8Array,
) {
  const info = requireType(engine, type);
  const rowCount = rows.length / columns;
  if (!Number.isInteger(rowCount) || columns % info.blockSize !== 0) {
    throw new RangeError(
      `Cannot quantize ${rows.length} weights in rows of ${columns} to ${type}: rows must be multiples of ${info.blockSize}`,
    );
  }
  if (importance && importance.length !== columns) {
    throw new RangeError(`Cannot quantize rows of ${columns} weights with ${importance.length} importance values`);
  }
  if (!importance && isImportanceRequired(engine, type)) {
    throw new EngineError(`Cannot quantize to ${type} without importance data`, {
      hint: "Run pare calibrate first and pass its file with --imatrix",
    });
  }
  const sizeBytes = (rows.length / info.blockSize) * info.typeSizeBytes;
  const out = target ?? new Uint8Array(sizeBytes);
  if (out.byteLength < sizeBytes)
    throw new RangeError(`Cannot quantize into ${out.byteLength} bytes: ${sizeBytes} needed`);
  const args = [info.id, rows, out, 0, rowCount, columns, importance ?? null] as const;
  return {
    out: out.byteLength === sizeBytes ? out : out.subarray(0, sizeBytes),
    args: args as unknown as [number, Float32Array, Uint8Array, number, number, number, Float32Array | null],
  };
}

function decoderOf(engine: GgmlLibrary, info: GgmlTypeInfo): bigint {
  const traits = engine.ggml.ggml_get_type_traits(info.id);
  const { to_float: decoder } = koffi.decode(traits, "ggml_type_traits") as { to_float: bigint | null };
  if (decoder === null) throw new EngineError(`The native engine can't decode type "${info.name}"`);
  return decoder;
}

let toFloatType: ReturnType<typeof koffi.proto> | undefined;

function toFloat(): ReturnType<typeof koffi.proto> {
  toFloatType ??= koffi.proto("void GgmlToFloat(void *bytes, void *out, int64_t count)");
  return toFloatType;
}

type Decoder = {
  async(...args: [Uint8Array, Float32Array, number, (error: Error | null, result: void) => void]): void;
};

function decoderFunction(engine: GgmlLibrary, info: GgmlTypeInfo): Decoder {
  return koffi.decode(decoderOf(engine, info), toFloat()) as unknown as Decoder;
}
