// `tokenizer.model`: SentencePiece's model as a protobuf message, of which the pieces and the kind of model are read.
// Field numbers are those of sentencepiece_model.proto (google/sentencepiece).
import { readFile } from "node:fs/promises";

import { FormatError, PareError } from "../../errors.js";

/** SentencePiece's numbers for a piece's type, which llama.cpp has taken over. */
export const PIECE_TYPES = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

export interface Piece {
  readonly text: string;
  readonly score: number;
  /** One of `PIECE_TYPES`. */
  readonly type: number;
}

const MODEL_TYPES = ["", "unigram", "byte pairs", "words", "characters"];
const BYTE_PAIRS = 2;
const PIECES_MAX = 2 ** 20;

/**
 * Reads the pieces of a byte-pair model, in the order of their ids; undefined when there is no such file.
 *
 * @throws {FormatError} when it is no SentencePiece model, or of a kind that llama.cpp's tokenizer does not follow
 */
export async function readSentencePiece(path: string): Promise<Piece[] | undefined> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw new PareError(`Cannot read "${path}": ${cause.message}`, { cause });
  });
  return bytes && parse(path, bytes);
}

function parse(path: string, bytes: Uint8Array): Piece[] {
  const pieces: Piece[] = [];
  let modelType = 1; // the default in the schema
  try {
    for (const { number, value } of fields(bytes)) {
      if (number === 1) pieces.push(pieceOf(asBytes(value)));
      if (number === 2) modelType = lastVarint(asBytes(value), 3) ?? modelType;
      if (pieces.length > PIECES_MAX) throw new RangeError(`it has more than ${PIECES_MAX} pieces`);
    }
    if (pieces.length === 0) throw new RangeError("it has no pieces");
  } catch (cause) {
    throw failure(path, `it is no SentencePiece model (${(cause as Error).message})`, cause);
  }
  if (modelType !== BYTE_PAIRS) {
    throw failure(path, `its pieces are ${MODEL_TYPES[modelType] ?? `of type ${modelType}`}, byte pairs are wanted`);
  }
  return pieces;
}

function pieceOf(bytes: Uint8Array): Piece {
  const piece = { text: "", score: 0, type: PIECE_TYPES.normal as number };
  for (const { number, value } of fields(bytes)) {
    if (number === 1) piece.text = new TextDecoder("utf-8", { fatal: true }).decode(asBytes(value));
    if (number === 2) piece.score = viewOf(asBytes(value)).getFloat32(0, true);
    if (number === 3) piece.type = asNumber(value);
  }
  return piece;
}

function lastVarint(bytes: Uint8Array, wanted: number): number | undefined {
  let found: number | undefined;
  for (const { number, value } of fields(bytes)) if (number === wanted) found = asNumber(value);
  return found;
}

/** A field of a message: a varint as a number, anything else as its bytes. */
interface Field {
  number: number;
  value: number | Uint8Array;
}

/** The fields of a protobuf message in the order they stand there. */
function* fields(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError("it ends within a number");
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new RangeError("a number has more than 64 bits");
  };
  const take = (length: number) => {
    if (length > bytes.byteLength - at) throw new RangeError("it ends within a field");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.byteLength) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const kind = tag % 8;
    if (kind === 0) yield { number, value: varint() };
    else if (kind === 1) yield { number, value: take(8) };
    else if (kind === 2) yield { number, value: take(varint()) };
    else if (kind === 5) yield { number, value: take(4) };
    else throw new RangeError(`field ${number} is of kind ${kind}`);
  }
}

function asBytes(value: Field["value"]): Uint8Array {
  if (typeof value === "number") throw new RangeError("a number stands where bytes are wanted");
  return value;
}

function asNumber(value: Field["value"]): number {
  if (typeof value !== "number") throw new RangeError("bytes stand where a number is wanted");
  return value;
}

function viewOf(bytes: Uint8Array): DataView {
  if (bytes.byteLength !== 4) throw new RangeError(`a score has ${bytes.byteLength} bytes`);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function failure(path: string, reason: string, cause?: unknown): FormatError {
  return new FormatError(path, `Cannot read "${path}": ${reason}`, { cause });
}
