// Scorers that run code: programs that a model wrote, and functions of the user's own.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";

import { afterAll, describe, expect, test } from "vitest";

import { caseOf, scoreOf } from "../../../test/score-case.js";
import { runRestricted } from "../run-restricted.js";
import { codeIn } from "./code.js";

const folder = mkdtempSync(join(tmpdir(), "pare-own-code-"));
afterAll(() => rmSync(folder, { recursive: true }));
const hasPython = spawnSync("python3", ["--version"]).status === 0;

test("codeIn() takes the first fenced block, or everything", () => {
  expect(codeIn("Sure:\n```python\nx = 1\n```\nand\n```\ny\n```")).toBe("x = 1");
  expect(codeIn("```js\nlet x;")).toBe("let x;");
  expect(codeIn("    return 1")).toBe("    return 1");
});

describe("code", () => {
  const add = { test: 'if (add(2, 3) !== 5) throw new Error("add(2, 3) is " + add(2, 3));' };

  test("scores a program by its test", async () => {
    expect(await scoreOf("```js\nconst add = (a, b) => a + b;\n```", add)).toEqual({ value: 1 });
    expect(await scoreOf("const add = (a, b) => a - b;", add)).toEqual({
      value: 0,
      explanation: "the program failed: Error: add(2, 3) is -1",
    });
    expect((await scoreOf("const add = (a, b) =>", add)).explanation).toMatch(/SyntaxError/);
  });

  test.skipIf(!hasPython)("scores a Python program that continues its prompt", async () => {
    const fields = { setup: "def add(a, b):\n", test: "assert add(2, 3) == 5, 'not 5'", language: "python" };
    expect(await scoreOf("    return a + b\n", fields)).toEqual({ value: 1 });
    expect((await scoreOf("    return a * b\n", fields)).explanation).toBe("the program failed: AssertionError: not 5");
  });

  test("needs a test", () => {
    expect(() => caseOf({ scorer: "code" })).toThrow('needs "test"');
  });
});

describe("runRestricted()", () => {
  test("lets a program neither read files, nor write them, nor start others", async () => {
    const tries = [
      `require("node:fs").readFileSync("/etc/hostname")`,
      `require("node:fs").writeFileSync(${JSON.stringify(join(folder, "written"))}, "x")`,
      `require("node:child_process").execSync("true")`,
    ];
    for (const source of tries)
      expect((await runRestricted(source, "javascript")).problem).toMatch(/Access to this API has been restricted/);
    expect(existsSync(join(folder, "written"))).toBe(false);
  });

  test.skipIf(!hasPython)("forbids the same to a Python program", async () => {
    const tries = [
      `open(${JSON.stringify(join(folder, "written"))}, "w")`,
      "import os\nos.system('true')",
      "import subprocess\nsubprocess.run(['true'])",
      "import socket\nsocket.create_connection(('127.0.0.1', 9))",
    ];
    for (const source of tries) expect((await runRestricted(source, "python")).problem).toMatch(/PermissionError/);
    expect(await runRestricted("import math, json, re, collections\nassert math.pi > 3", "python")).toEqual({
      ok: true,
    });
  });

  test("hands a program nothing of the environment", async () => {
    process.env["PARE_TEST_SECRET"] = "secret";
    const source = `if (process.env.PARE_TEST_SECRET) throw new Error("seen")`;
    expect(await runRestricted(source, "javascript")).toEqual({ ok: true });
    delete process.env["PARE_TEST_SECRET"];
  });

  test.skipIf(process.platform === "win32")(
    "ends a program that uses up its time, and says so",
    async () => {
      const { ok, problem } = await runRestricted("for (;;);", "javascript");
      expect(ok).toBe(false);
      expect(problem).toMatch(/ran longer than 10 s|was ended by SIG/);
    },
    30_000,
  );

  test("calls a program that ends itself early with an error wrong, and one that prints a lot right", async () => {
    expect((await runRestricted("process.exit(3)", "javascript")).ok).toBe(false);
    expect((await runRestricted(`console.log("x".repeat(1e7))`, "javascript")).ok).toBe(true);
  });
});

describe("function", () => {
  const write = (name: string, source: string): string => {
    writeFileSync(join(folder, name), source);
    return join(folder, "task.jsonl");
  };

  test("asks a TypeScript module beside the task", async () => {
    const task = write(
      "short.ts",
      "export function score(answer: string, { expect }: { expect?: unknown }): boolean { return answer.length <= Number(expect); }",
    );
    expect(await scoreOf("abc", { score: "short.ts", expect: 3 }, task)).toEqual({ value: 1 });
    expect(await scoreOf("abcd", { score: "short.ts", expect: 3 }, task)).toEqual({
      value: 0,
      explanation: "the function says so",
    });
  });

  test("takes numbers, reasons and promises", async () => {
    const task = write("half.mjs", `export const score = async () => ({ value: 0.5, explanation: "half" });`);
    expect(await scoreOf("", { score: "half.mjs" }, task)).toEqual({ value: 0.5, explanation: "half" });
  });

  test.each([
    ["throws.mjs", `export const score = () => { throw new Error("boom"); };`, /failed: boom/],
    ["large.mjs", "export const score = () => 7;", /it returned 7, wanted a boolean or a number from 0 to 1/],
    ["nan.mjs", "export const score = () => NaN;", /wanted a boolean or a number/],
  ])("does not count what %s says", async (name, source, explanation) => {
    const score = await scoreOf("", { score: name }, write(name, source));
    expect(score).toMatchObject({ value: null, explanation: expect.stringMatching(explanation) as string });
  });

  test("refuses a module that can't be used, by name", async () => {
    await expect(scoreOf("", { score: "gone.mjs" }, write("x", ""))).rejects.toThrow(/Cannot score with ".*gone.mjs"/);
    const task = write("none.mjs", "export const points = 1;");
    await expect(scoreOf("", { score: "none.mjs" }, task)).rejects.toThrow(/it exports no function named score/);
    const broken = write("broken.ts", "export function score(: string {");
    await expect(scoreOf("", { score: "broken.ts" }, broken)).rejects.toThrow(/Cannot score with/);
    expect(() => caseOf({ score: "score.py" })).toThrow("must be a JavaScript or TypeScript file");
  });
});
