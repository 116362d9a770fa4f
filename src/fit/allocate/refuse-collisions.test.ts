import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { UsageError } from "../../errors.js";
import { refuseCollisions } from "./refuse-collisions.js";

let folder: string;
const at = (name: string) => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "pare-refuse-collisions-"));
  writeFileSync(at("model.gguf"), "");
  linkSync(at("model.gguf"), at("hard.gguf"));
  symlinkSync(at("model.gguf"), at("soft.gguf"));
  mkdirSync(at("folder"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["a file that is read", ["model.gguf"], 'The output and the model are the same file: "'],
  ["a hard link to it", ["hard.gguf"], "same file"],
  ["a symbolic link to it", ["soft.gguf"], "same file"],
  ["a folder", ["folder"], "a folder stands there"],
  ["two files that are not there yet", ["new.gguf", "new.gguf"], 'The table and the output are the same file: "'],
  ["another spelling of it", ["new.gguf", "folder/../new.gguf"], "same file"],
])("refuseCollisions() refuses to write %s", async (_what, names, message) => {
  const roles = ["output", "table"];
  const written = names.map((name, i) => ({ role: roles[i]!, path: `${folder}/${name}` }));
  const work = refuseCollisions(written, [{ role: "model", path: at("model.gguf") }]);
  await expect(work).rejects.toThrow(UsageError);
  await expect(work).rejects.toThrow(message);
});

test("refuseCollisions() takes a path from the working folder and one from the root for the same", async () => {
  const files = [at("new.gguf"), relative(process.cwd(), at("new.gguf"))].map((path) => ({ role: "output", path }));
  await expect(refuseCollisions(files, [])).rejects.toThrow("same file");
});

test("refuseCollisions() lets files that lie apart be", async () => {
  const written = ["a.gguf", "b.gguf"].map((name) => ({ role: "output", path: at(name) }));
  await expect(refuseCollisions(written, [{ role: "model", path: at("model.gguf") }])).resolves.toBeUndefined();
});
