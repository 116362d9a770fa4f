// The command's manners: help, mistyped words, failures as JSON, exit codes, no control characters in a pipe.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { pare } from "./command.js";

const PACKAGE = JSON.parse(readFileSync(fileURLToPath(new URL("../package.json", import.meta.url)), "utf8")) as {
  version: string;
};
const COMMANDS = ["fit", "inspect", "quantize", "calibrate", "eval", "chat", "doctor", "completion"];

test("--version prints the package's version", async () => {
  expect(await pare(["--version"])).toEqual({ exitCode: 0, stdout: `${PACKAGE.version}\n`, stderr: "" });
});

test("--help names every command and shows examples", async () => {
  const { exitCode, stdout } = await pare(["--help"]);
  expect(exitCode).toBe(0);
  for (const name of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${name} `, "m"));
  expect(stdout).toContain("Examples:");
});

test.each(COMMANDS)("%s --help explains its options and shows examples", async (name) => {
  const { exitCode, stdout, stderr } = await pare([name, "--help"]);
  expect(exitCode).toBe(0);
  expect(stderr).toBe("");
  expect(stdout).toContain(`Usage: pare ${name}`);
  expect(stdout).toContain("--json");
  expect(stdout).toMatch(new RegExp(`Examples:\n {2}pare ${name}`));
});

test("no command is a usage error that shows the help", async () => {
  const { exitCode, stdout, stderr } = await pare([]);
  expect(exitCode).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toContain("Commands:");
});

test("a mistyped command is corrected", async () => {
  const { exitCode, stderr } = await pare(["inspekt", "x.gguf"]);
  expect(exitCode).toBe(2);
  expect(stderr).toBe("pare: Unknown command 'inspekt'\nhint: Did you mean inspect?\n");
});

test("a mistyped option is corrected", async () => {
  const { exitCode, stderr } = await pare(["quantize", "a.gguf", "b.gguf", "--typ", "q4_0"]);
  expect(exitCode).toBe(2);
  expect(stderr).toBe("pare: Unknown option '--typ'\nhint: Did you mean --type?\n");
});

test.each([
  ["a missing argument", ["inspect"], "Missing required argument 'model'"],
  ["an argument too many", ["inspect", "a.gguf", "b.gguf"], "Too many arguments"],
  ["a value that is no number", ["chat", "a.gguf", "--tokens", "many"], "Write a whole number"],
  ["a value that is no share", ["fit", "a.gguf", "--keep", "120%"], "is not a share"],
  ["a value that is no duration", ["fit", "a.gguf", "--budget", "soon"], "is not a duration"],
  ["an unknown backend", ["doctor", "--backend", "abacus"], "Allowed choices are cpu"],
  ["an unknown shell", ["completion", "tcsh"], "Allowed choices are bash, zsh, fish"],
  [
    "two options that exclude each other",
    ["eval", "a.gguf", "--text", "x.txt", "--task", "y.jsonl"],
    "cannot be used with",
  ],
])("%s is a usage error, in words and as JSON", async (_what, args, message) => {
  const words = await pare(args);
  expect(words.exitCode).toBe(2);
  expect(words.stdout).toBe("");
  expect(words.stderr).toContain(message);
  expect(words.stderr).toContain("hint: ");
  const json = await pare([...args, "--json"]);
  expect(json.exitCode).toBe(2);
  expect(json.stderr).toBe("");
  const document = JSON.parse(json.stdout) as { error: { message: string; hint: string } };
  expect(document.error.message).toContain(message);
  expect(document.error.hint).toBeTruthy();
});

test("--json is understood before the command as well as after it", async () => {
  const before = await pare(["--json", "inspect", "no-such-file.gguf"]);
  const after = await pare(["inspect", "no-such-file.gguf", "--json"]);
  expect(before).toEqual(after);
  expect(JSON.parse(after.stdout)).toEqual({
    error: { message: expect.stringContaining("no-such-file.gguf"), hint: expect.any(String) },
  });
  expect(after.exitCode).toBe(1);
});

test("a failure shows no stack unless PARE_DEBUG is set", async () => {
  const quiet = await pare(["inspect", "no-such-file.gguf"]);
  expect(quiet.stderr).not.toMatch(/^\s+at /m);
  const loud = await pare(["inspect", "no-such-file.gguf"], { env: { PARE_DEBUG: "1" } });
  expect(loud.stderr).toMatch(/^\s+at /m);
});

test("doctor --json reports a machine that is ready", async () => {
  const { exitCode, stdout } = await pare(["doctor", "--json"]);
  const report = JSON.parse(stdout) as { ok: boolean; checks: { name: string; status: string }[] };
  expect(report.checks.filter(({ status }) => status === "fail")).toEqual([]);
  expect(report.ok).toBe(true);
  expect(exitCode).toBe(0);
});

test("doctor fails where the backend asked for is not installed, and says what to install", async () => {
  const { exitCode, stdout } = await pare(["doctor", "--json"], { env: { PARE_BACKEND: "vulkan" } });
  const report = JSON.parse(stdout) as {
    ok: boolean;
    backend: string | null;
    checks: { name: string; status: string }[];
  };
  expect(exitCode).toBe(1);
  expect(report).toMatchObject({ ok: false, backend: null });
  expect(report.checks).toContainEqual(
    expect.objectContaining({ name: "engine", status: "fail", hint: expect.stringMatching(/npm install|choose/i) }),
  );
});

test("standard output that is closed early is no failure", async () => {
  const { exitCode, stderr } = await pare(["--help"], { onStart: (child) => child.stdout?.destroy() });
  expect(stderr).toBe("");
  expect(exitCode).toBe(0);
});
