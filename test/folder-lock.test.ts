// Processes that contend for one lock: never two at a time, and whoever is refused is told by whom.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

const source = new URL("../dist/support/folder-lock.js", import.meta.url).href;
const cwd = fileURLToPath(new URL("..", import.meta.url));

/** Takes the lock so many times; under it, makes a file that nobody else may have made. */
const CONTENDER = `
import { rmSync, writeFileSync } from "node:fs";
const [path, times] = process.argv.slice(1);
const { FolderLock } = await import("${source}");
let refused = 0;
for (let taken = 0; taken < Number(times);) {
  try {
    const lock = await FolderLock.acquire(path, "lean");
    writeFileSync(path + ".mine", "", { flag: "wx" });
    rmSync(path + ".mine");
    await lock[Symbol.asyncDispose]();
    taken++;
  } catch (error) {
    if (!/^Another run works in "lean" .process [1-9]/.test(error.message)) throw error;
    refused++;
  }
}
process.stdout.write(String(refused));
`;

interface Ending {
  code: number | null;
  refused: number;
  complaint: string;
}

function contend(path: string, times: number): Promise<Ending> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", CONTENDER, path, String(times)], { cwd });
  let [out, complaint] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (out += chunk));
  child.stderr.on("data", (chunk: Buffer) => (complaint += chunk));
  return new Promise((resolve) => {
    child.on("close", (code) => resolve({ code, refused: Number(out), complaint }));
  });
}

test("processes that contend for a lock, a stale one at first, hold it one at a time", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pare-lock-"));
  const path = join(folder, "lock");
  writeFileSync(path, "4194305 17\n"); // of a process that is no more
  const endings = await Promise.all([contend(path, 150), contend(path, 150), contend(path, 150)]);
  expect(endings.map(({ code, complaint }) => ({ code, complaint }))).toEqual(
    endings.map(() => ({ code: 0, complaint: "" })),
  );
  expect(endings.reduce((sum, { refused }) => sum + refused, 0)).toBeGreaterThan(0); // they did contend
  expect(existsSync(path)).toBe(false);
  expect(readdirSync(folder)).toEqual([]);
});
