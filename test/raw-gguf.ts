// GGUF files put together field by field, so that tests can write what the writer would refuse.

/** A piece of a file: bytes as they are, or a number or text to encode. */
export type RawPiece = Uint8Array;

export const u8 = (value: number): RawPiece => Uint8Array.of(value);

export function u32(value: number): RawPiece {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

export function u64(value: number | bigint): RawPiece {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
  return bytes;
}

/** A string with its length before it. */
export function text(value: string | Uint8Array): RawPiece {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return join(u64(bytes.byteLength), bytes);
}

export function join(...pieces: readonly RawPiece[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((total, piece) => total + piece.byteLength, 0));
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    offset += piece.byteLength;
  }
  return bytes;
}

/** One metadata entry: key, type number, value. */
export function entry(key: string | Uint8Array, type: number, ...value: RawPiece[]): RawPiece {
  return join(text(key), u32(type), ...value);
}

/** One row of the tensor table; 8 floats at the data's start unless told otherwise. */
export function tensor(
  name: string | Uint8Array,
  fields: { dimensions?: readonly (number | bigint)[]; type?: number; offset?: number | bigint } = {},
): RawPiece {
  const { dimensions = [8], type = 0, offset = 0 } = fields;
  return join(text(name), u32(dimensions.length), ...dimensions.map((value) => u64(value)), u32(type), u64(offset));
}

/** A whole file; counts follow from its parts unless given. */
export function rawGguf(parts: {
  magic?: string;
  version?: number;
  tensorCount?: number | bigint;
  entryCount?: number | bigint;
  entries?: readonly RawPiece[];
  tensors?: readonly RawPiece[];
  alignment?: number;
  data?: Uint8Array;
}): Uint8Array {
  const { magic = "GGUF", version = 3, entries = [], tensors = [], alignment = 32, data = new Uint8Array(64) } = parts;
  const header = join(
    new TextEncoder().encode(magic),
    u32(version),
    u64(parts.tensorCount ?? tensors.length),
    u64(parts.entryCount ?? entries.length),
    ...entries,
    ...tensors,
  );
  return join(header, new Uint8Array((alignment - (header.byteLength % alignment)) % alignment), data);
}
