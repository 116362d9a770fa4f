// Completion scripts: they are valid in their shell, and offer what the commands have.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";

import { expect, test } from "vitest";

import { pare, temporaryFolder } from "./command.js";

const has = (shell: string): boolean => spawnSync(shell, ["-c", "true"]).status === 0;

for (const shell of ["bash", "zsh", "fish"]) {
  test(`completion ${shell} names every command`, async () => {
    const { exitCode, stdout } = await pare(["completion", shell]);
    expect(exitCode).toBe(0);
    for (const name of ["fit", "inspect", "quantize", "doctor"]) expect(stdout).toContain(name);
  });

  test.skipIf(!has(shell))(`completion ${shell} is a script that the shell reads without complaint`, async () => {
    using folder = temporaryFolder();
    const script = folder.path(`pare.${shell}`);
    writeFileSync(script, (await pare(["completion", shell])).stdout);
    const { status, stderr } = spawnSync(shell, ["-n", script], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
}

test.skipIf(!has("bash")).each([
  ["commands", ["pare", "qu"], ["quantize"]],
  ["options of the command", ["pare", "quantize", "a.gguf", "--imat"], ["--imatrix"]],
  ["options of every command", ["pare", "inspect", "--js"], ["--json"]],
  ["presets", ["pare", "quantize", "--type", "q4_K_"], ["q4_K_M", "q4_K_S"]],
  ["words of a list", ["pare", "fit", "--minimize", "l"], ["latency"]],
  ["devices", ["pare", "fit", "--device", "rasp"], ["raspberry-pi-5"]],
  ["files, for an argument", ["pare", "inspect", "package.j"], ["package.json"]],
])("completion bash offers %s", async (_what, words, expected) => {
  const { stdout } = await pare(["completion", "bash"]);
  const list = words.map((word) => `'${word}'`).join(" ");
  const script = `${stdout}\nCOMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _pare; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout: offered, stderr } = spawnSync("bash", ["--norc"], { input: script, encoding: "utf8" });
  expect(stderr).toBe("");
  expect(offered.trim().split("\n").toSorted()).toEqual(expected);
});
