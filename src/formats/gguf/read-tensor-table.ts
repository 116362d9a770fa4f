// The tensor table of a GGUF header: names, shapes, types and offsets, each checked on its own.
import { GGML_TYPES, type GgmlType, ggmlTypeById } from "./ggml-types.js";
import type { HeaderCursor } from "./header-cursor.js";

/** ggml keeps names in 64 bytes, the last of them zero. */
const NAME_BYTES_MAX = 63;
/** ggml's GGML_MAX_DIMS. */
const DIMENSIONS_MAX = 4;

/** One row of the tensor table. */
export interface TensorInfo {
  name: string;
  /** Elements per dimension in ggml order: the row's length first. */
  shape: number[];
  type: GgmlType;
  /** Where its bytes start: within the data first, within the file once the header is read. */
  offset: number;
  sizeBytes: number;
}

/**
 * Reads rows into `tensors` until there are `count`.
 *
 * @throws {FormatError} when a name, shape, type or size is impossible
 */
export function readTensorTable(cursor: HeaderCursor, tensors: TensorInfo[], count: number): void {
  const names = new Set(tensors.map((tensor) => tensor.name));
  while (tensors.length < count) {
    const tensor = readTensorInfo(cursor, tensors.length + 1);
    if (names.has(tensor.name)) throw cursor.failure(`tensor "${tensor.name}" is there twice`);
    names.add(tensor.name);
    tensors.push(tensor);
    cursor.commit();
  }
}

function readTensorInfo(cursor: HeaderCursor, ordinal: number): TensorInfo {
  const name = cursor.name(`the name of tensor ${ordinal}`, NAME_BYTES_MAX);
  const what = `tensor "${name}"`;
  const shape = readShape(cursor, what);
  const typeId = cursor.uint32(`the type of ${what}`);
  const type = ggmlTypeById(typeId);
  if (!type) {
    throw cursor.failure(`${what} is of ggml type ${typeId}, which is not known`, {
      hint: "The file may need a newer version, or an old type that was removed; convert the model again",
    });
  }
  const sizeBytes = tensorSizeBytes(cursor, what, type, shape);
  return { name, shape, type, sizeBytes, offset: cursor.count(`the offset of ${what}`) };
}

function readShape(cursor: HeaderCursor, what: string): number[] {
  const dimensions = cursor.uint32(`the dimension count of ${what}`);
  if (dimensions < 1 || dimensions > DIMENSIONS_MAX) {
    throw cursor.failure(`${what} has ${dimensions} dimensions, 1 to ${DIMENSIONS_MAX} are wanted`);
  }
  const shape: number[] = [];
  for (let i = 0; i < dimensions; i++) {
    const length = cursor.count(`dimension ${i + 1} of ${what}`);
    if (length === 0) throw cursor.failure(`dimension ${i + 1} of ${what} is 0`);
    shape.push(length);
  }
  return shape;
}

function tensorSizeBytes(cursor: HeaderCursor, what: string, type: GgmlType, shape: readonly number[]): number {
  const { blockSize, typeSizeBytes } = GGML_TYPES[type];
  const columns = shape[0]!;
  if (columns % blockSize !== 0) {
    throw cursor.failure(`${what} has rows of ${columns} elements, a multiple of ${blockSize} is wanted for ${type}`);
  }
  // Above 2^53 a product may be rounded, but it stays above.
  const sizeBytes = shape.slice(1).reduce((size, length) => size * length, (columns / blockSize) * typeSizeBytes);
  if (!Number.isSafeInteger(sizeBytes))
    throw cursor.failure(`${what} of shape ${shape.join(" × ")} is impossibly large`);
  return sizeBytes;
}
