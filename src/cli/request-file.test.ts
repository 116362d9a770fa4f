import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { readRequestFile } from "./request-file.js";

let folder = "";
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "pare-test-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(text: string): string {
  const path = join(folder, "pare.yaml");
  writeFileSync(path, text);
  return path;
}

test("readRequestFile reads shares and durations as they are written", async () => {
  const request = await readRequestFile(
    write("models: [a.gguf, /b.gguf]\nkeep: 98%\nbudget: 10m\nminimize: latency\n"),
  );
  expect(request).toEqual({
    models: [join(folder, "a.gguf"), "/b.gguf"],
    keep: "98%",
    budget: "10m",
    minimize: "latency",
  });
});

test("readRequestFile takes paths as relative to the file's folder, and device names as they are", async () => {
  expect(await readRequestFile(write("text: t.txt\ndevice: phone\n"))).toEqual({
    text: join(folder, "t.txt"),
    device: "phone",
  });
  expect(await readRequestFile(write("models: a.gguf+tuned/b.gguf\n"))).toEqual({
    models: `${join(folder, "a.gguf")}+${join(folder, "tuned/b.gguf")}`,
  });
  expect(await readRequestFile(write("device: boards/mine.json\n"))).toEqual({
    device: join(folder, "boards/mine.json"),
  });
});

test("readRequestFile reads an empty file as no request", async () => {
  expect(await readRequestFile(write("# nothing yet\n"))).toEqual({});
});

test.each([
  ["an unknown key", "models: a.gguf\n\nkep: 99%\n", 'line 3: key "kep" is unknown', "Did you mean keep?"],
  ["a share that is none", "models: a.gguf\nkeep: 120%\n", 'line 2: "keep": "120%" is not a share', undefined],
  ["a goal that is none", "minimize: beauty\n", 'line 1: "minimize"', undefined],
  ["what is no YAML", "keep: 99%\nmodels: [a.gguf\n", "line ", "Write YAML"],
  ["a list", "- a\n- b\n", "line 1: keys and values are wanted", undefined],
])("readRequestFile refuses %s and names the line", async (_what, text, message, hint) => {
  const error = await readRequestFile(write(text)).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ message: expect.stringContaining(message), name: "FormatError" });
  if (hint) expect(error).toMatchObject({ hint: expect.stringContaining(hint) });
});
