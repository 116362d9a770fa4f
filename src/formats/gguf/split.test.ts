import { expect, test } from "vitest";

import { MemorySource } from "../../../test/memory-source.js";
import { entry, rawGguf, tensor, text, u32 } from "../../../test/raw-gguf.js";
import { PareError } from "../../errors.js";
import { readGguf } from "./read.js";
import { parseSplitPath, splitPath } from "./split-path.js";

const UINT32 = 4;
const STRING = 8;

/** One part with one tensor, named after it and filled with its number. */
function part(number: number, count: number, edits: { no?: number; total?: number; name?: string } = {}): Uint8Array {
  const entries = [
    entry("split.no", UINT32, u32(edits.no ?? number)),
    entry("split.count", UINT32, u32(count)),
    entry("split.tensors.count", UINT32, u32(edits.total ?? count)),
  ];
  if (number === 0) entries.unshift(entry("general.name", STRING, text("whole")));
  return rawGguf({ entries, tensors: [tensor(edits.name ?? `t${number}`)], data: new Uint8Array(32).fill(number + 1) });
}

function folderOf(files: Record<string, Uint8Array>) {
  const opened: MemorySource[] = [];
  const open = async (path: string) => {
    const bytes = files[path];
    if (!bytes) throw new PareError(`Cannot read "${path}": there is no such file`);
    const source = new MemorySource(bytes, path);
    opened.push(source);
    return source;
  };
  return { open, opened };
}

const names = [0, 1, 2].map((number) => splitPath("m", number, 3));
const three = () => Object.fromEntries(names.map((name, number) => [name, part(number, 3)]));

test("splitPath() and parseSplitPath() agree", () => {
  expect(names[2]).toBe("m-00003-of-00003.gguf");
  expect(parseSplitPath("a/m-00002-of-00010.gguf")).toEqual({ prefix: "a/m", part: 1, parts: 10, suffix: "" });
  expect(parseSplitPath("https://h/m-00001-of-00002.gguf?download=true")).toMatchObject({ suffix: "?download=true" });
  expect(parseSplitPath("m.gguf")).toBeUndefined();
});

test.each([0, 1, 2])("readGguf() opens a split model from part %i as one file", async (given) => {
  const { open, opened } = folderOf(three());
  const gguf = await readGguf(names[given]!, { open });
  expect(gguf.tensors.map(({ name, part }) => [name, part])).toEqual([
    ["t0", 0],
    ["t1", 1],
    ["t2", 2],
  ]);
  expect((await gguf.readTensor("t2"))[0]).toBe(3);
  expect([...gguf.metadata.keys()]).toEqual(["general.name"]);
  expect(gguf.parts).toEqual(names);
  await gguf.close();
  expect(opened.map((source) => source.isClosed)).toEqual([true, true, true]);
});

test.each<[what: string, files: Record<string, Uint8Array>, given: string, message: string]>([
  [
    "a missing part",
    { ...three(), [names[1]!]: undefined! },
    names[0]!,
    `Cannot read "${names[1]}": there is no such file`,
  ],
  ["a renamed part", { "m.gguf": part(0, 3) }, "m.gguf", 'does not end in "-00001-of-00003.gguf"'],
  ["parts in the wrong order", { ...three(), [names[1]!]: part(2, 3) }, names[0]!, "split.no is 2, the name says 1"],
  [
    "a part of another split",
    { ...three(), [names[1]!]: part(1, 4) },
    names[0]!,
    "split.count is 4, the other parts say 3",
  ],
  [
    "too few tensors",
    { ...three(), [names[0]!]: part(0, 3, { total: 9 }) },
    names[0]!,
    "its parts hold 3 tensors, split.tensors.count says 9",
  ],
  [
    "a tensor in two parts",
    { ...three(), [names[2]!]: part(2, 3, { name: "t0" }) },
    names[0]!,
    'tensor "t0" is in part 1 too',
  ],
  ["a damaged part", { ...three(), [names[2]!]: new Uint8Array(9) }, names[0]!, `Cannot read GGUF "${names[2]}"`],
])("readGguf() refuses %s, and closes all parts", async (_what, files, given, message) => {
  const { open, opened } = folderOf(files);
  await expect(readGguf(given, { open })).rejects.toThrow(message);
  expect(opened.every((source) => source.isClosed)).toBe(true);
});
