import { expect, test } from "vitest";

import { METADATA_SIZES } from "./metadata-types.js";
import { Metadata, MetadataArray, type MetadataType, type MetadataValue } from "./metadata.js";

const VALUES: [MetadataType, MetadataValue][] = [
  ["uint8", 255],
  ["int8", -128],
  ["uint16", 65_535],
  ["int16", -32_768],
  ["uint32", 4_294_967_295],
  ["int32", -2_147_483_648],
  ["float32", 0.5],
  ["float64", Math.PI],
  ["bool", true],
  ["string", "naïve ▁token 😀"],
  ["uint64", Number.MAX_SAFE_INTEGER],
  ["int64", Number.MIN_SAFE_INTEGER],
];

test.each(VALUES)("Metadata keeps a value of type %s, alone and in an array", (type, value) => {
  const metadata = new Metadata().set("key", type, value);
  expect(metadata.get("key")).toBe(value);
  expect(metadata.typeOf("key")).toBe(type);
  const array = MetadataArray.of(type, [value, value, value]);
  expect(array).toMatchObject({ elementType: type, length: 3 });
  expect(array.values()).toEqual([value, value, value]);
});

test("Metadata gives 64-bit integers beyond 2^53 as bigint, exactly", () => {
  const metadata = new Metadata().set("big", "uint64", 2n ** 64n - 1n).set("low", "int64", -(2n ** 63n));
  expect(metadata.get("big")).toBe(2n ** 64n - 1n);
  expect(metadata.get("low")).toBe(-(2n ** 63n));
  expect(() => metadata.number("big")).toThrow('metadata "big" is 18446744073709551615, which is beyond 2^53');
});

test.each([
  ["uint8", 256],
  ["int8", -129],
  ["uint32", -1],
  ["uint64", 2n ** 64n],
  ["int32", 0.5],
  ["uint16", Number.NaN],
] as const)("Metadata.set() refuses what does not fit %s", (type, value) => {
  expect(() => new Metadata().set("key", type, value)).toThrow(RangeError);
});

test("Metadata.set() refuses a value of another type", () => {
  expect(() => new Metadata().set("key", "string", 1)).toThrow(TypeError);
  expect(() => new Metadata().set("key", "uint8", "1")).toThrow(TypeError);
  expect(() => new Metadata().set("key", "array", 1)).toThrow(TypeError);
});

test("Metadata's typed getters tell what they found", () => {
  const metadata = new Metadata().set("name", "string", "tiny").set("flag", "bool", false);
  expect(metadata.string("name")).toBe("tiny");
  expect(metadata.boolean("flag")).toBe(false);
  expect(metadata.number("absent")).toBeUndefined();
  expect(() => metadata.number("name")).toThrow('metadata "name" is of type string, a number is wanted');
  expect(() => metadata.array("flag")).toThrow("an array is wanted");
});

test("Metadata keeps its order, also when a value is replaced, and a clone stands on its own", () => {
  const metadata = new Metadata().set("b", "uint8", 1).set("a", "uint8", 2).set("b", "uint8", 3);
  const copy = metadata.clone();
  copy.delete("b");
  expect([...metadata.entries()].map(({ key, value }) => [key, value])).toEqual([
    ["b", 3],
    ["a", 2],
  ]);
  expect([...copy.keys()]).toEqual(["a"]);
});

test("MetadataArray nests", () => {
  const inner = [MetadataArray.of("string", ["x", ""]), MetadataArray.of("int16", [])];
  const outer = MetadataArray.of("array", inner);
  const values = outer.values() as MetadataArray[];
  expect(values.map((value) => [value.elementType, value.values()])).toEqual([
    ["string", ["x", ""]],
    ["int16", []],
  ]);
});

test("MetadataArray.stringBytes() gives pieces that are no UTF-8 as they are", () => {
  const encoded = MetadataArray.of("string", ["ab", "é"]).encoded.slice();
  encoded[20] = 0xff; // the "a"
  const array = new MetadataArray(encoded);
  expect(array.strings()).toEqual(["\ufffdb", "é"]);
  expect([...array.stringBytes()].map((bytes) => [...bytes])).toEqual([
    [0xff, 0x62],
    [0xc3, 0xa9],
  ]);
});

test("MetadataArray.numbers() and strings() refuse other elements", () => {
  expect(() => MetadataArray.of("string", []).numbers()).toThrow(TypeError);
  expect(() => MetadataArray.of("uint8", []).strings()).toThrow(TypeError);
  expect(MetadataArray.of("bool", [true, false]).numbers()).toEqual([1, 0]);
});

test("every type of fixed size has been tried", () => {
  const fixed = Object.entries(METADATA_SIZES).filter(([, size]) => size !== undefined);
  expect(VALUES.map(([type]) => type)).toEqual(expect.arrayContaining(fixed.map(([type]) => type)));
});
