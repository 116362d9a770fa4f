// A whole command as a user runs it: how long it took and how much memory it and its children held.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const LOOK_EVERY_MS = 25;

/**
 * Runs `pare` with these words.
 *
 * @returns seconds, and the most that the processes had resident at once: mapped files count, and what two share counts
 * twice. 0 where there is no /proc
 */
export async function runPare(words) {
  const began = performance.now();
  const child = spawn(process.execPath, [MAIN, ...words, "--quiet"], { stdio: ["ignore", "pipe", "pipe"] });
  let [output, errors, peakBytes] = ["", "", 0];
  child.stdout.on("data", (bytes) => (output += bytes));
  child.stderr.on("data", (bytes) => (errors += bytes));
  const watch = setInterval(() => (peakBytes = Math.max(peakBytes, residentBytes(child.pid))), LOOK_EVERY_MS);
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  clearInterval(watch);
  if (code !== 0) throw new Error(`pare ${words.join(" ")} ended with ${code}:\n${errors}`);
  return { output, seconds: (performance.now() - began) / 1000, peakBytes };
}

/** Of a process and its children. */
function residentBytes(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
    const own = 1024 * Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
    return children.reduce((total, child) => total + residentBytes(child), own);
  } catch {
    return 0; // it has just ended, or this is no Linux
  }
}
