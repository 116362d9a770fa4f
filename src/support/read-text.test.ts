import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { FormatError } from "../errors.js";
import { readText } from "./read-text.js";

const folder = mkdtempSync(join(tmpdir(), "pare-read-text-"));
const path = join(folder, "text.txt");
afterAll(() => rmSync(folder, { recursive: true }));

test("readText() keeps a byte-order mark and line ends", async () => {
  writeFileSync(path, "\uFEFFgrün\r\n");
  expect(await readText(path)).toBe("\uFEFFgrün\r\n");
});

test("readText() refuses what is no text, a folder and nothing", async () => {
  writeFileSync(path, Uint8Array.of(0x67, 0xfc));
  await expect(readText(path)).rejects.toThrow(FormatError);
  await expect(readText(folder)).rejects.toThrow(`Cannot read text "${folder}": it is a folder`);
  await expect(readText(join(folder, "absent.txt"))).rejects.toThrow("no such file");
});

test("readText() ends with the signal's reason", async () => {
  await expect(readText(path, AbortSignal.abort())).rejects.toMatchObject({ name: "AbortError" });
});
