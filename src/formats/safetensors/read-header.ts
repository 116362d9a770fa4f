// The header of one safetensors file: eight bytes of length, then JSON that names each tensor's type, shape and place.
// Follows the rules of Hugging Face's own reader: the tensors fill what is behind the header, without holes or overlap.
// https://github.com/huggingface/safetensors#format
import { FormatError, messageOf } from "../../errors.js";
import type { ByteSource } from "../gguf/bytes.js";
import { SAFETENSORS_DTYPES, type SafetensorsDtype, isDtype } from "./dtypes.js";
import { duplicateKey } from "./duplicate-key.js";

/** The limit of Hugging Face's reader. */
const HEADER_BYTES_MAX = 100_000_000;
const LENGTH_BYTES = 8;
const DIMENSIONS_MAX = 8;

/** A tensor of a safetensors file. */
export interface SafetensorsInfo {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  /** Elements per dimension in PyTorch's order: the row's length last. */
  readonly shape: readonly number[];
  /** From the file's start. */
  readonly offset: number;
  readonly sizeBytes: number;
}

/** What stands before the tensors' bytes. */
export interface SafetensorsHeader {
  /** `__metadata__`: texts that the writer added, such as `{ "format": "pt" }`. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: readonly SafetensorsInfo[];
}

/**
 * Reads and checks a file's header.
 *
 * @throws {FormatError} naming what is wrong
 */
export async function readHeader(source: ByteSource): Promise<SafetensorsHeader> {
  const { path } = source;
  if (source.sizeBytes < LENGTH_BYTES) throw failure(path, `it has ${source.sizeBytes} bytes, at least 8 are wanted`);
  const length = lengthOf(source, await source.read(0, LENGTH_BYTES));
  const json = parseJson(path, await source.read(LENGTH_BYTES, length));
  const { __metadata__: metadata = {}, ...entries } = json;
  if (!isTexts(metadata)) throw failure(path, "its __metadata__ is not an object of texts");
  const start = LENGTH_BYTES + length;
  const tensors = Object.entries(entries).map(([name, entry]) => tensorOf(path, name, entry, start));
  checkPlaces(path, tensors, start, source.sizeBytes);
  return { metadata, tensors };
}

function lengthOf({ path, sizeBytes }: ByteSource, bytes: Uint8Array): number {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > HEADER_BYTES_MAX) {
    throw failure(path, `its header would have ${length} bytes, at most ${HEADER_BYTES_MAX} are wanted`);
  }
  if (Number(length) > sizeBytes - LENGTH_BYTES) {
    throw failure(path, `its header would have ${length} bytes, and the file has ${sizeBytes}`, INCOMPLETE);
  }
  return Number(length);
}

function parseJson(path: string, bytes: Uint8Array): Record<string, unknown> {
  let json: unknown;
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    json = JSON.parse(text);
  } catch (cause) {
    throw failure(path, `its header is no JSON: ${messageOf(cause)}`, undefined, cause);
  }
  if (!isObject(json)) throw failure(path, "its header is no JSON object");
  const twice = duplicateKey(text);
  if (twice !== undefined) throw failure(path, `tensor ${JSON.stringify(twice)} is there twice`);
  return json;
}

function tensorOf(path: string, name: string, entry: unknown, start: number): SafetensorsInfo {
  const fail = (reason: string) => failure(path, `tensor ${JSON.stringify(name)} ${reason}`);
  if (!isObject(entry)) throw fail("is not described by an object");
  const { dtype, shape, data_offsets: offsets } = entry;
  if (!isDtype(dtype)) throw fail(`is of type ${JSON.stringify(dtype)}, which is not known`);
  if (!isCounts(shape) || shape.length > DIMENSIONS_MAX) throw fail(`has shape ${JSON.stringify(shape)}`);
  if (!isCounts(offsets) || offsets.length !== 2) throw fail(`has data_offsets ${JSON.stringify(offsets)}`);
  const [first, last] = offsets as [number, number];
  const sizeBytes = shape.reduce((size, dimension) => size * dimension, SAFETENSORS_DTYPES[dtype]);
  if (last - first !== sizeBytes) {
    throw fail(`spans ${last - first} bytes, and ${dtype} [${shape.join(", ")}] takes ${sizeBytes}`);
  }
  return { name, dtype, shape, offset: start + first, sizeBytes };
}

/** Every byte behind the header belongs to exactly one tensor. */
function checkPlaces(path: string, tensors: readonly SafetensorsInfo[], start: number, sizeBytes: number): void {
  let end = start;
  for (const tensor of [...tensors].sort((a, b) => a.offset - b.offset || a.sizeBytes - b.sizeBytes)) {
    const name = JSON.stringify(tensor.name);
    if (tensor.offset < end) throw failure(path, `tensor ${name} overlaps the one before it`);
    if (tensor.offset > end)
      throw failure(path, `nothing fills the ${tensor.offset - end} bytes before tensor ${name}`);
    end = tensor.offset + tensor.sizeBytes;
    if (end > sizeBytes) {
      throw failure(path, `tensor ${name} ends at byte ${end}, and the file at ${sizeBytes}`, INCOMPLETE);
    }
  }
  if (end < sizeBytes) throw failure(path, `${sizeBytes - end} bytes after the last tensor belong to none`);
}

const INCOMPLETE = "The file is incomplete; copy or download it again";

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is Record<string, string> {
  return isObject(value) && Object.values(value).every((text) => typeof text === "string");
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && count >= 0);
}

function failure(path: string, reason: string, hint?: string, cause?: unknown): FormatError {
  return new FormatError(path, `Cannot read safetensors "${path}": ${reason}`, { hint, cause });
}
