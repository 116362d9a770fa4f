// What was measured already, by a hash of everything that it depends on: a run that was stopped goes on where it was.
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { sha256 } from "../../dist/support/files.js";

export class Cache {
  constructor(folder) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  /**
   * The result of `work`, or what it was last time for the same key.
   *
   * @param isValid says whether an earlier result can still be used
   */
  async remember(what, key, work, isValid = () => true) {
    const path = join(this.folder, `${what}-${hashOf(key)}.json`);
    if (existsSync(path)) {
      const { value } = JSON.parse(readFileSync(path, "utf8"));
      if (isValid(value)) return value;
    }
    const value = await work();
    writeFileSync(`${path}.new`, JSON.stringify({ key, value }));
    renameSync(`${path}.new`, path);
    return value;
  }
}

export function hashOf(key) {
  return sha256(JSON.stringify(key)).slice(0, 20);
}

/** Of all compiled code that a choice of types or a rounding can depend on. */
export function codeHash() {
  const folder = fileURLToPath(new URL("../../dist/", import.meta.url));
  const files = ["calibrate", "evaluate", "fit", "formats", "model", "native", "passes", "support"].flatMap((part) =>
    readdirSync(join(folder, part), { recursive: true })
      .filter((file) => [".js", ".wasm"].includes(extname(file)))
      .sort()
      .map((file) => join(folder, part, file)),
  );
  return hashOf(files.map((file) => sha256(readFileSync(file))));
}
