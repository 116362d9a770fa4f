import { writeFileSync } from "node:fs";

import { expect, test } from "vitest";

import { temporaryFolder } from "../../../test/command.js";
import { FormatError } from "../../errors.js";
import { Random } from "../../support/random.js";
import { duplicateKey } from "./duplicate-key.js";
import { SafetensorsFile, readSafetensors } from "./read.js";
import { writeSafetensors } from "./write.js";

const bytes = (count: number) => Uint8Array.from({ length: count }, (_, i) => i);

/** A file of this header and so many bytes behind it. */
function raw(header: unknown, data = 8, length?: bigint): Uint8Array {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(json.byteLength));
  return Buffer.concat([prefix, json, bytes(data)]);
}

const info = (first: number, last: number, more: object = {}) => ({
  dtype: "F16",
  shape: [(last - first) / 2],
  data_offsets: [first, last],
  ...more,
});

test("readSafetensors() gives back what writeSafetensors() wrote", async () => {
  using folder = temporaryFolder();
  const path = folder.path("model.safetensors");
  const { sizeBytes } = await writeSafetensors(path, [
    { name: "a", dtype: "F32", shape: [2, 3], chunks: () => [bytes(10), bytes(14)] },
    { name: "empty", dtype: "F16", shape: [0, 3], chunks: () => [] },
    { name: "b", dtype: "BF16", shape: [3], chunks: () => [bytes(6)] },
  ]);
  await using file = await readSafetensors(path);
  expect([file.sizeBytes, file.metadata]).toEqual([sizeBytes, { format: "pt" }]);
  expect([...file.tensors.keys()]).toEqual(["a", "empty", "b"]);
  const [a, b] = [file.tensors.get("a")!, file.tensors.get("b")!];
  expect([a.dtype, a.shape, a.sizeBytes, a.offset % 8]).toEqual(["F32", [2, 3], 24, 0]);
  expect(await file.read(a, 8, 4)).toEqual(Uint8Array.of(8, 9, 0, 1));
  expect(await file.read(b, 0, 6)).toEqual(bytes(6));
  await expect(file.read(b, 2, 6)).rejects.toThrow('Tensor "b" has 6 bytes, not 6 from 2');
});

test("writeSafetensors() leaves no file where the bytes are too few or a name is there twice", async () => {
  using folder = temporaryFolder();
  const path = folder.path("model.safetensors");
  const tensor = { name: "a", dtype: "F32" as const, shape: [2], chunks: () => [bytes(7)] };
  await expect(writeSafetensors(path, [tensor])).rejects.toThrow('7 bytes came for tensor "a", 8 are wanted');
  await expect(writeSafetensors(path, [tensor, tensor])).rejects.toThrow('Tensor "a" is given twice');
  await expect(readSafetensors(path)).rejects.toThrow("there is no such file");
});

test.each<[what: string, file: Uint8Array, reason: RegExp]>([
  ["too few bytes", bytes(5), /it has 5 bytes, at least 8/],
  ["a header beyond the file", raw({}, 0, 900n), /its header would have 900 bytes, and the file has 10/],
  ["a header beyond all measure", raw({}, 0, 2n ** 63n), /at most 100000000 are wanted/],
  ["a header that is no JSON", raw("{", 0), /its header is no JSON/],
  ["a header that is a list", raw("[]", 0), /its header is no JSON object/],
  ["metadata that are no texts", raw({ __metadata__: { a: 1 } }, 0), /__metadata__ is not an object of texts/],
  ["an unknown type", raw({ a: info(0, 8, { dtype: "F17" }) }), /tensor "a" is of type "F17", which is not known/],
  ["a type from the prototype", raw({ a: info(0, 8, { dtype: "toString" }) }), /is of type "toString"/],
  ["a shape that is no shape", raw({ a: info(0, 8, { shape: [-4] }) }), /tensor "a" has shape \[-4\]/],
  ["a shape of fractions", raw({ a: info(0, 8, { shape: [1.5] }) }), /has shape \[1.5\]/],
  ["offsets that are no pair", raw({ a: info(0, 8, { data_offsets: [0] }) }), /has data_offsets \[0\]/],
  ["offsets that do not fit the shape", raw({ a: info(0, 8, { shape: [3] }) }), /spans 8 bytes, and F16 \[3\] takes 6/],
  ["offsets in the wrong order", raw({ a: info(0, 8, { data_offsets: [8, 0] }) }), /spans -8 bytes/],
  ["an offset beyond the file", raw({ a: info(0, 800) }), /tensor "a" ends at byte \d+, and the file at \d+/],
  ["overlapping tensors", raw({ a: info(0, 6), b: info(4, 8) }), /tensor "b" overlaps the one before it/],
  ["a hole", raw({ a: info(0, 4), b: info(6, 8) }), /nothing fills the 2 bytes before tensor "b"/],
  ["bytes of no tensor", raw({ a: info(0, 4) }), /4 bytes after the last tensor belong to none/],
  [
    "a tensor twice",
    raw('{"a":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},"\\u0061":{}}'),
    /tensor "a" is there twice|described/,
  ],
])("readSafetensors() refuses %s", async (_what, file, reason) => {
  using folder = temporaryFolder();
  const path = folder.path("bad.safetensors");
  writeFileSync(path, file);
  await expect(readSafetensors(path)).rejects.toThrow(reason);
});

test("duplicateKey() sees keys of the outermost object alone, however they are spelled", () => {
  expect(duplicateKey('{"a":{"b":1},"b":[{"a":1}],"c":"a"}')).toBeUndefined();
  expect(duplicateKey('{"a" : 1, "\\u0061": 2}')).toBe("a");
  expect(duplicateKey('{"x":"\\"","a\\\\":1,"a\\\\":2}')).toBe("a\\");
});

test("readSafetensors() of a damaged file reads it or says what is wrong, and nothing else", async () => {
  using folder = temporaryFolder();
  const sound = raw({ __metadata__: { format: "pt" }, a: info(0, 4), "b.weight": info(4, 8, { shape: [1, 2] }) });
  const random = new Random(11);
  let refused = 0;
  for (let round = 0; round < 400; round++) {
    const bytes = Uint8Array.from(sound);
    for (let change = 0; change <= random.integer(3); change++)
      bytes[random.integer(bytes.byteLength)] = random.integer(256);
    const path = folder.path(`${round}.safetensors`);
    writeFileSync(path, bytes.subarray(0, random.integer(4) === 0 ? random.integer(bytes.byteLength) : undefined));
    const outcome = await readSafetensors(path).catch((error: unknown) => error);
    if (outcome instanceof SafetensorsFile) await outcome.close();
    else expect(outcome).toBeInstanceOf(FormatError);
    if (outcome instanceof FormatError) refused++;
  }
  expect(refused).toBeGreaterThan(200);
});
