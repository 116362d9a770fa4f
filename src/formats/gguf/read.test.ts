import { expect, test } from "vitest";

import { MemorySource } from "../../../test/memory-source.js";
import { type RawPiece, entry, join, rawGguf, tensor, text, u32, u64, u8 } from "../../../test/raw-gguf.js";
import { FormatError } from "../../errors.js";
import { readGguf } from "./read.js";

const [UINT32, STRING, ARRAY] = [4, 8, 9];
const read = (bytes: Uint8Array) => readGguf(new MemorySource(bytes));

test.each([2, 3])("readGguf() reads version %i", async (version) => {
  const data = new Uint8Array(96).map((_, i) => i);
  const gguf = await read(
    rawGguf({
      version,
      entries: [entry("general.name", STRING, text("tiny")), entry("n", UINT32, u32(7))],
      tensors: [tensor("a"), tensor("b", { dimensions: [4, 2], offset: 32 }), tensor("c", { offset: 64 })],
      data,
    }),
  );
  expect(gguf.version).toBe(version);
  expect([...gguf.metadata.entries()].map(({ key, type, value }) => [key, type, value])).toEqual([
    ["general.name", "string", "tiny"],
    ["n", "uint32", 7],
  ]);
  expect(gguf.tensors[1]).toMatchObject({ name: "b", shape: [4, 2], type: "f32", sizeBytes: 32, part: 0 });
  expect(await gguf.readTensor("b")).toEqual(data.subarray(32, 64));
  expect(await gguf.readTensor("b", 4, 2)).toEqual(data.subarray(36, 38));
  await expect(gguf.readTensor("b", 30, 4)).rejects.toThrow('Tensor "b" has 32 bytes, not 4 from 30');
  await expect(gguf.readTensor("d")).rejects.toThrow('has no tensor "d"');
});

test("readGguf() follows general.alignment, and allows gaps", async () => {
  const data = new Uint8Array(256).fill(9, 128, 160);
  const entries = [entry("general.alignment", UINT32, u32(128))];
  const gguf = await read(rawGguf({ entries, tensors: [tensor("a", { offset: 128 })], alignment: 128, data }));
  expect(gguf.alignment).toBe(128);
  expect(await gguf.readTensor("a")).toEqual(new Uint8Array(32).fill(9));
});

test("readGguf() reads only the header, in growing pieces", async () => {
  const tokens = Array.from({ length: 30_000 }, (_, i) => text(`token number ${i}`));
  const entries = [entry("tokens", ARRAY, u32(STRING), u64(tokens.length), ...tokens)];
  const header = rawGguf({ entries, tensors: [tensor("a", { dimensions: [2 ** 28] })], data: new Uint8Array(0) });
  const source = new MemorySource(header, "x.gguf", 2 ** 30);
  const gguf = await readGguf(source);
  expect(gguf.metadata.array("tokens")!.strings()[29_999]).toBe("token number 29999");
  expect(source.bytesRead).toBeLessThan(2 * header.byteLength + 65_536);
});

test("readGguf() closes its source when the file is refused, and with the file", async () => {
  const refused = new MemorySource(rawGguf({ magic: "GGML" }));
  await expect(readGguf(refused)).rejects.toThrow();
  expect(refused.isClosed).toBe(true);
  const accepted = new MemorySource(rawGguf({}));
  await (await readGguf(accepted)).close();
  expect(accepted.isClosed).toBe(true);
});

test("readGguf() stops when it is told to", async () => {
  await expect(readGguf(new MemorySource(rawGguf({})), { signal: AbortSignal.abort() })).rejects.toThrow(/aborted/);
});

const one = (piece: RawPiece) => rawGguf({ entries: [piece] });
const table = (...tensors: RawPiece[]) => rawGguf({ tensors });
const nested = (depth: number): RawPiece => (depth === 0 ? u64(0) : join(u64(1), u32(ARRAY), nested(depth - 1)));

test.each<[what: string, bytes: Uint8Array, message: string]>([
  ["an empty file", new Uint8Array(0), "it is empty"],
  ["another magic", rawGguf({ magic: "GGML" }), 'it starts with "GGML", "GGUF" is wanted'],
  ["binary magic", join(u32(0x04034b50)), 'it starts with bytes 50 4b 03 04, "GGUF" is wanted'],
  ["nothing after the magic", new TextEncoder().encode("GGUF"), "it ends at byte 4, within the version"],
  ["version 1", rawGguf({ version: 1 }), "it is of version 1, version 2 or 3 is wanted"],
  ["version 4", rawGguf({ version: 4 }), "it is of version 4, version 2 or 3 is wanted"],
  ["big-endian", rawGguf({ version: 0x03000000 }), "it is big-endian, little-endian is wanted"],
  ["too many tensors", rawGguf({ tensorCount: 12_000_000 }), "tensor count 12000000 exceeds 50000"],
  ["more tensors than bytes", rawGguf({ tensorCount: 50_000 }), "tensor count 50000 does not fit in the 72 bytes"],
  ["more entries than bytes", rawGguf({ entryCount: 9 }), "metadata count 9 does not fit in the 72 bytes"],
  ["a count of 2^63", rawGguf({ tensorCount: 2n ** 63n }), "the tensor count 9223372036854775808 is impossibly large"],
  ["a key twice", rawGguf({ entries: [entry("a", 0, u8(1)), entry("a", 0, u8(1))] }), 'metadata "a" is there twice'],
  ["an empty key", one(entry("", 0, u8(1))), "metadata key 1 is empty"],
  ["a key that is no UTF-8", one(entry(Uint8Array.of(0xff), 0, u8(1))), "metadata key 1 is not UTF-8"],
  ["a long key", one(entry("a".repeat(65_536), 0, u8(1))), "the length of metadata key 1, 65536 bytes, exceeds 65535"],
  ["an unknown value type", one(entry("a", 13, u8(1))), 'metadata "a" is of type 13, a type below 13 is wanted'],
  ["a long string", one(entry("a", STRING, u64(1e6))), 'the length of metadata "a", 1000000 bytes, exceeds the'],
  ["a string of 2^64", one(entry("a", STRING, u64(2n ** 64n - 1n))), "18446744073709551615 is impossibly large"],
  ["an unknown element type", one(entry("a", ARRAY, u32(99), u64(1))), 'metadata "a" has elements of type 99'],
  ["a long array", one(entry("a", ARRAY, u32(0), u64(1e6))), 'metadata "a" has 1000000 elements, which do not fit'],
  [
    "a long array of strings",
    one(entry("a", ARRAY, u32(STRING), u64(99))),
    'metadata "a" has 99 elements, which do not',
  ],
  ["deep nesting", one(entry("a", ARRAY, u32(ARRAY), nested(9))), 'metadata "a" nests arrays more than 4 deep'],
  ["alignment 0", one(entry("general.alignment", UINT32, u32(0))), "general.alignment is 0, a power of two is wanted"],
  [
    "alignment 48",
    one(entry("general.alignment", UINT32, u32(48))),
    "general.alignment is 48, a power of two is wanted",
  ],
  ["alignment as text", one(entry("general.alignment", STRING, text("32"))), "general.alignment is of type string"],
  ["a tensor twice", table(tensor("a"), tensor("a", { offset: 32 })), 'tensor "a" is there twice'],
  ["a tensor without name", table(tensor("")), "the name of tensor 1 is empty"],
  ["a long name", table(tensor("a".repeat(64))), "the length of the name of tensor 1, 64 bytes, exceeds 63"],
  ["no dimension", table(tensor("a", { dimensions: [] })), 'tensor "a" has 0 dimensions, 1 to 4 are wanted'],
  ["five dimensions", table(tensor("a", { dimensions: [1, 1, 1, 1, 1] })), 'tensor "a" has 5 dimensions'],
  ["a dimension of 0", table(tensor("a", { dimensions: [8, 0] })), 'dimension 2 of tensor "a" is 0'],
  ["a negative dimension", table(tensor("a", { dimensions: [2n ** 64n - 1n] })), "is impossibly large"],
  [
    "a product of 2^64",
    table(tensor("a", { dimensions: [2 ** 32, 2 ** 32] })),
    "4294967296 × 4294967296 is impossibly large",
  ],
  ["an unknown tensor type", table(tensor("a", { type: 4 })), 'tensor "a" is of ggml type 4, which is not known'],
  [
    "half a block",
    table(tensor("a", { type: 2 })),
    'tensor "a" has rows of 8 elements, a multiple of 32 is wanted for q4_0',
  ],
  ["an odd offset", table(tensor("a", { offset: 8 })), 'tensor "a" is at 8, a multiple of 32 is wanted'],
  ["an offset beyond the file", table(tensor("a", { offset: 64 })), 'tensor "a" ends at byte'],
  ["an offset near 2^64", table(tensor("a", { offset: 2n ** 64n - 32n })), "is impossibly large"],
  [
    "overlapping tensors",
    table(tensor("a", { dimensions: [16] }), tensor("b", { offset: 32 })),
    'tensors "a" and "b" share bytes',
  ],
])("readGguf() refuses %s", async (_what, bytes, message) => {
  const refusal = read(bytes);
  await expect(refusal).rejects.toThrow(FormatError);
  await expect(refusal).rejects.toThrow('Cannot read GGUF "x.gguf": ');
  await expect(refusal).rejects.toThrow(message);
});

test("readGguf() refuses a header that goes on for ever before holding it", async () => {
  const bytes = rawGguf({ entries: [entry("a", ARRAY, u32(0), u64(2 ** 30))] });
  const source = new MemorySource(bytes, "x.gguf", 2 ** 31);
  await expect(readGguf(source)).rejects.toThrow('its header goes beyond 50.3 MB with metadata "a"');
  expect(source.bytesRead).toBeLessThan(200_000);
});

test("readGguf() refuses every truncation of a file", async () => {
  const whole = rawGguf({
    entries: [entry("a", ARRAY, u32(STRING), u64(2), text("x"), text("yz")), entry("b", UINT32, u32(1))],
    tensors: [tensor("t", { dimensions: [16] })],
    data: new Uint8Array(64),
  });
  for (let size = 0; size < whole.byteLength; size++) {
    await expect(read(whole.subarray(0, size)), `${size} bytes`).rejects.toThrow(FormatError);
  }
  await read(whole);
});
