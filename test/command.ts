// Runs the built `pare` command as a child process, the way a shell would.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The built command. */
export const MAIN = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** How a run ended. */
export interface Outcome {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** Sees the process as soon as it runs, to send it a signal for example. */
  onStart?: (child: ChildProcess) => void;
}

/** Runs `pare` with arguments and waits for its end. */
export function pare(args: readonly string[], options: CommandOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      cwd: options.cwd,
      env: { ...process.env, NO_COLOR: "1", ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const outcome = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => (outcome.stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (outcome.stderr += text));
    child.on("error", reject);
    child.on("close", (exitCode) => resolve({ exitCode, ...outcome }));
    options.onStart?.(child);
  });
}

/** A folder that is removed when it goes out of scope. */
export function temporaryFolder(): { path: (name: string) => string } & Disposable {
  const folder = mkdtempSync(join(tmpdir(), "pare-test-"));
  return {
    path: (name) => join(folder, name),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
