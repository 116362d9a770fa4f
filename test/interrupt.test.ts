// Ctrl-C and kill in the middle of long work: the command ends, nothing half-written stays.
import type { ChildProcess } from "node:child_process";
import { type FSWatcher, readdirSync, watch, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { pare, temporaryFolder } from "./command.js";
import { failureOf } from "./documents.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const inputs = temporaryFolder();
const model = inputs.path("model.gguf");
const text = inputs.path("text.txt");

beforeAll(async () => {
  // Large enough that no command here is done before the signal comes.
  await writeSyntheticModel(model, { type: "f16", vocabulary: 30_000, width: 256, layers: 1 });
  writeFileSync(text, "the rain in spain stays mainly in the plain. ".repeat(20_000));
});
afterAll(() => inputs[Symbol.dispose]());

/** Sends a signal as soon as something appears in the folder. */
function killAtFirstFile(folder: string, signal: NodeJS.Signals): (child: ChildProcess) => void {
  return (child) => {
    const watcher: FSWatcher = watch(folder, () => {
      watcher.close();
      child.kill(signal);
    });
    child.once("exit", () => watcher.close());
  };
}

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("quantize ended by %s exits with %i and leaves nothing", async (signal, exitCode) => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const onStart = killAtFirstFile(folder.path(""), signal);
  const outcome = await pare(["quantize", model, output, "--type", "iq4_nl", "--threads", "1", "--json"], { onStart });
  expect(outcome.exitCode).toBe(exitCode);
  expect(failureOf(outcome).message).toBe("Interrupted");
  expect(readdirSync(folder.path(""))).toEqual([]);
});

test("quantize ended by Ctrl-C keeps the file that was there before", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  writeFileSync(output, "the old one");
  const onStart = killAtFirstFile(folder.path(""), "SIGINT");
  const { exitCode } = await pare(["quantize", model, output, "--type", "iq4_nl", "--threads", "1"], { onStart });
  expect(exitCode).toBe(130);
  expect(readdirSync(folder.path(""))).toEqual(["out.gguf"]);
});

test("fit ended by Ctrl-C exits with 130 and says that the same command goes on", async () => {
  using folder = temporaryFolder();
  const onStart = (child: ChildProcess): void => {
    child.stderr?.once("data", () => child.kill("SIGINT"));
  };
  const args = ["fit", model, "--text", text, "--out", folder.path("out"), "--threads", "1", "--verbose"];
  const outcome = await pare(args, { onStart });
  expect(outcome.exitCode).toBe(130);
  expect(outcome.stderr).toContain("pare: Interrupted\nhint: The same command goes on from where it stopped");
});

test("calibrate ended by Ctrl-C exits with 130 and leaves nothing", async () => {
  using folder = temporaryFolder();
  const output = folder.path("imatrix.gguf");
  const onStart = (child: ChildProcess): void => {
    // --verbose names each stage on standard error; the first one says that the text is being read.
    child.stderr?.once("data", () => child.kill("SIGINT"));
  };
  const outcome = await pare(["calibrate", model, text, "-o", output, "--threads", "1", "--verbose"], { onStart });
  expect(outcome.exitCode).toBe(130);
  expect(outcome.stderr).toContain("pare: Interrupted");
  expect(readdirSync(folder.path(""))).toEqual([]);
});

test("calibrate --hessians that is killed outright leaves nothing", async () => {
  using folder = temporaryFolder();
  const paths = ["-o", folder.path("imatrix.gguf"), "--hessians", folder.path("hessians.gguf")];
  const onStart = (child: ChildProcess): void => {
    child.stderr?.once("data", () => child.kill("SIGKILL"));
  };
  await pare(["calibrate", model, text, ...paths, "--threads", "1", "--verbose"], { onStart });
  expect(readdirSync(folder.path(""))).toEqual([]);
});
