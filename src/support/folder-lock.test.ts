import { existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { FolderLock } from "./folder-lock.js";

function place(): string {
  return join(mkdtempSync(join(tmpdir(), "pare-lock-")), "lock");
}

test("a folder is locked until disposal", async () => {
  const path = place();
  {
    await using _lock = await FolderLock.acquire(path, "lean");
    await expect(FolderLock.acquire(path, "lean")).rejects.toThrow(/Another run works in "lean"/);
  }
  expect(existsSync(path)).toBe(false);
  await using _again = await FolderLock.acquire(path, "lean");
});

test("folders that were made for a lock go with it when they are empty", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pare-lock-"));
  const path = join(folder, "out", ".pare", "lock");
  await (await FolderLock.acquire(path, "out"))[Symbol.asyncDispose]();
  expect(readdirSync(folder)).toEqual([]);
  const lock = await FolderLock.acquire(path, "out");
  writeFileSync(join(folder, "out", "certificate.json"), "{}");
  await lock[Symbol.asyncDispose]();
  expect(readdirSync(join(folder, "out"))).toEqual(["certificate.json"]);
});

test.skipIf(process.platform !== "linux")("another process that is alive keeps its lock", async () => {
  const path = place();
  const started = readFileSync(`/proc/${process.ppid}/stat`, "utf8").split(") ").at(-1)!.split(" ")[19];
  writeFileSync(path, `${process.ppid} ${started}\n`);
  await expect(FolderLock.acquire(path, "lean")).rejects.toThrow(`process ${process.ppid}`);
});

test.each([
  ["of a process that is no more", "4194305 17\n"],
  ["of a number that was given to another process since", `${process.ppid} 1\n`],
  ["that was cut off", ""],
])("a lock %s is taken over", async (_, content) => {
  const path = place();
  writeFileSync(path, content);
  await using _lock = await FolderLock.acquire(path, "lean");
});
