// Runs a program that nobody has read: in a process of its own, with a limit of time, memory, file size and processes, an empty folder,
// an empty environment and, where the system can do that, no network. JavaScript also runs under Node's permission model, which
// forbids files, child processes and workers; a hook forbids the like to Python. This keeps accidents away. It is no sandbox against an attacker: those who
// expect one run Pare in a container or a virtual machine.
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { PareError } from "../errors.js";

export const RESTRICTED_LANGUAGES = ["javascript", "python"] as const;
export type RestrictedLanguage = (typeof RESTRICTED_LANGUAGES)[number];

const SECONDS_MAX = 10; // tests of single functions take milliseconds
const MEMORY_KIB = 4 * 2 ** 20; // of address space; V8 reserves gigabytes that it never touches
const OUTPUT_KEPT = 4096;

/** Python asks such a hook before it does any of these things (PEP 578). */
const PYTHON_GUARD = `
def _guard():
    import sys
    forbidden = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.kill", "os.remove",
                 "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "shutil.", "ctypes.")
    def hook(event, args):
        if event.startswith(forbidden) or (event == "open" and isinstance(args[2], int) and args[2] & 3):
            raise PermissionError(event + " is forbidden here")
    sys.addaudithook(hook)
_guard()
del _guard
`;

export interface RestrictedOutcome {
  ok: boolean;
  /** What went wrong, as the end of a sentence that begins with "the program". */
  problem?: string;
}

/**
 * Runs a program to its end.
 *
 * @throws {PareError} when the language is not installed
 */
export async function runRestricted(source: string, language: RestrictedLanguage): Promise<RestrictedOutcome> {
  requireLanguage(language);
  const folder = await mkdtemp(join(tmpdir(), "pare-code-"));
  try {
    return await runIn(folder, source, language);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @throws {PareError} when programs in this language can't be run here */
export function requireLanguage(language: RestrictedLanguage): void {
  if (language === "javascript" || works("python3", ["-I", "-c", ""])) return;
  throw new PareError("Cannot run Python programs: there is no python3", {
    hint: "Install Python 3, or leave such cases out",
  });
}

function runIn(folder: string, source: string, language: RestrictedLanguage): Promise<RestrictedOutcome> {
  const [command, ...args] = limited(interpreter(language));
  const child = spawn(command!, args, {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "", HOME: folder, TMPDIR: folder },
    stdio: ["pipe", "ignore", "pipe"],
    detached: true, // a group of its own, so that what it starts is ended with it
  });
  let printed = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (printed = (printed + text).slice(-OUTPUT_KEPT)));
  child.stdin!.on("error", () => undefined); // it ended before it had read everything
  child.stdin!.end(language === "python" ? PYTHON_GUARD + source : source);
  const kill = (): void => void endGroup(child.pid);
  process.once("exit", kill);
  return new Promise((resolve, reject) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      kill();
    }, SECONDS_MAX * 1000);
    child.on("error", reject);
    child.on("close", (exitCode, signal) => {
      clearTimeout(timer);
      process.off("exit", kill);
      kill(); // what it left behind
      if (exitCode === 0) resolve({ ok: true });
      else resolve({ ok: false, problem: isLate ? `ran longer than ${SECONDS_MAX} s` : problemOf(printed, signal) });
    });
  });
}

function interpreter(language: RestrictedLanguage): string[] {
  if (language === "python") return ["python3", "-I", "-S", "-B", "-"];
  const permission = process.allowedNodeEnvironmentFlags.has("--permission")
    ? "--permission"
    : "--experimental-permission";
  return [process.execPath, permission, "--no-warnings", "--max-old-space-size=256", "-"];
}

/** The command behind the limits of the system it runs on; Windows has none of these. */
function limited(command: string[]): string[] {
  if (process.platform === "win32") return command;
  const memory = process.platform === "linux" && command[0] === "python3" ? `ulimit -v ${MEMORY_KIB};` : "";
  const limits = `ulimit -t ${SECONDS_MAX}; ulimit -f 2048; ulimit -c 0; ${memory} exec "$@"`;
  return [...withoutNetwork(), "sh", "-c", limits, "sh", ...command];
}

/** A network namespace of its own has no network; not every Linux lets a user make one. */
function withoutNetwork(): string[] {
  const command = ["unshare", "--user", "--map-current-user", "--net"];
  return process.platform === "linux" && works(command[0]!, [...command.slice(1), "true"]) ? command : [];
}

const known = new Map<string, boolean>();

function works(command: string, args: string[]): boolean {
  const key = [command, ...args].join(" ");
  const found = known.get(key) ?? spawnSync(command, args, { stdio: "ignore" }).status === 0;
  known.set(key, found);
  return found;
}

function problemOf(printed: string, signal: NodeJS.Signals | null): string {
  if (signal !== null) return `was ended by ${signal}`;
  const lines = printed
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("    at ") && !line.startsWith("Node.js v"));
  const error = lines.findLast((line) => /^\w*(?:Error|Exception|Exit)\b/.test(line)) ?? lines.at(-1);
  return error === undefined ? "failed" : `failed: ${error.trim().slice(0, 200)}`;
}

function endGroup(id: number | undefined): void {
  try {
    if (id !== undefined) process.kill(process.platform === "win32" ? id : -id, "SIGKILL");
  } catch {
    // it is gone
  }
}
