import { linkSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { AtomicFile, copyFileAtomic, refuseReplacing, sha256, sha256File } from "./files.js";

function folder(): string {
  return mkdtempSync(join(tmpdir(), "pare-files-"));
}

test("AtomicFile leaves nothing behind when it can't take its place", async () => {
  const place = folder();
  const path = join(place, "out.txt");
  const write = async (): Promise<void> => {
    await using file = await AtomicFile.create(path);
    await file.write(Buffer.from("text"));
    mkdirSync(path); // meanwhile, somebody makes a folder of that name
    await file.commit();
  };
  await expect(write()).rejects.toThrow(/Cannot write ".*out.txt": a folder stands there/);
  expect(readdirSync(place)).toEqual(["out.txt"]);
});

test("copyFileAtomic() copies every byte and leaves nothing when it is aborted", async () => {
  const place = folder();
  const from = join(place, "from");
  writeFileSync(from, Buffer.alloc(3_000_000, "abc"));
  await copyFileAtomic(from, join(place, "to"));
  expect(readFileSync(join(place, "to")).equals(readFileSync(from))).toBe(true);
  await expect(copyFileAtomic(from, join(place, "not"), AbortSignal.abort())).rejects.toThrow();
  expect(readdirSync(place).sort()).toEqual(["from", "to"]);
});

test("refuseReplacing() knows a source under another name", async () => {
  const place = folder();
  const source = join(place, "model.gguf");
  writeFileSync(source, "GGUF");
  linkSync(source, join(place, "same.gguf"));
  await expect(refuseReplacing(join(place, "same.gguf"), [source])).rejects.toThrow(/same file/);
  await refuseReplacing(join(place, "other.gguf"), [source]);
});

test("sha256File() of several files is that of their bytes one after another", async () => {
  const place = folder();
  writeFileSync(join(place, "a"), "one");
  writeFileSync(join(place, "b"), "two");
  expect(await sha256File([join(place, "a"), join(place, "b")])).toBe(sha256("onetwo"));
});
