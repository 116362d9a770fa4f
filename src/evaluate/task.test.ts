import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { parseTask } from "./task.js";
import { readTask } from "./tasks/read-task.js";

const parse = (text: string, defaults: { scorer?: string } = {}) => parseTask(text, { path: "t.jsonl", ...defaults });

test("readTask() reads cases with their lines and fills in what they leave out", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pare-task-"));
  try {
    const path = join(folder, "colors.task.jsonl");
    await writeFile(
      path,
      '\uFEFF{"prompt": "a", "expect": "b", "tags": "easy"}\r\n\n{"id": 7, "messages": [{"role": "user", "content": "hi"}], "stop": ["."], "metadata": {"by": 1}}\n',
    );
    const task = await readTask(path, { scorer: "contains", maxTokens: 9, stop: ["\n"] });
    expect(task.name).toBe("colors");
    expect(task.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(task.cases).toMatchObject([
      {
        id: "line-1",
        line: 1,
        prompt: "a",
        expect: "b",
        scorer: "contains",
        tags: ["easy"],
        maxTokens: 9,
        stop: ["\n"],
      },
      { id: "7", line: 3, messages: [{ role: "user", content: "hi" }], scorer: "contains", tags: [], stop: ["."] },
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a case without a scorer gets the one that its fields belong to", () => {
  const scorerOf = (fields: object) => parse(JSON.stringify({ prompt: "p", ...fields })).cases[0]!.scorer;
  expect(scorerOf({})).toBe("exact");
  expect(scorerOf({ choices: ["a", "b"], expect: 0 })).toBe("choice");
  expect(scorerOf({ schema: {} })).toBe("json");
  expect(scorerOf({ pattern: "x" })).toBe("regex");
});

test.each([
  ["", /Cannot read task "t.jsonl": it has no cases/],
  ["\n \n", /it has no cases/],
  ['{"prompt":"a","expect":"b"}\n{oops', /line 2: it is no JSON: /],
  ["[1]", /line 1: it is not a JSON object/],
  ['{"prompt":"a","expects":"b"}', /line 1: the field "expects" is unknown: there are id, prompt, messages, expect/],
  ['{"prompt":"a","messages":[{"role":"user","content":"b"}]}', /line 1: it has both "prompt" and "messages"/],
  ['{"expect":"b"}', /line 1: it has neither "prompt" nor "messages"/],
  ['{"prompt":1}', /line 1: "prompt": /],
  ['{"messages":[{"role":"user"}]}', /line 1: "messages.0.content": /],
  [
    '{"prompt":"a","scorer":"exakt"}',
    /line 1: the scorer "exakt" is unknown: there are exact, contains, regex, choice, json/,
  ],
  ['\n{"prompt":"a","id":"x"}\n\n{"prompt":"b","id":"x"}', /line 4: the id "x" is taken by line 2/],
  ['{"prompt":"a","pattern":"(","id":"x"}', /line 1: the pattern "\(" is invalid: Unterminated group/],
  ['{"prompt":"a","scorer":"regex"}', /line 1: the scorer "regex" needs a "pattern"/],
  ['{"prompt":"a","choices":["a"]}', /line 1: "choices" has 1 text, at least 2 are needed/],
  [
    '{"prompt":"a","choices":["a","b"],"expect":2}',
    /line 1: "expect" "2" is neither one of the choices nor an index from 0 to 1/,
  ],
  ['{"prompt":"a","schema":{"type":"objekt"}}', /line 1: the schema is invalid: /],
  ['{"prompt":"a","expect":["b"]}', /line 1: "expect" must be a text/],
  ['{"prompt":"a","scorer":"contains","expect":[]}', /line 1: "expect" is an empty list/],
  ['{"prompt":"a","stop":""}', /line 1: "stop" has an empty text/],
  ['{"prompt":"a","maxTokens":0}', /line 1: "maxTokens": /],
])("parseTask() refuses %j with the line and the reason", (text, message) => {
  expect(() => parse(text)).toThrow(message);
});

test("parseTask() refuses bytes that are no UTF-8", () => {
  expect(() => parseTask(Uint8Array.of(0x7b, 0xff), { path: "t.jsonl" })).toThrow(/it is not UTF-8 text/);
});

test("an unknown default scorer is a usage error that lists those there are", () => {
  expect(() => parse('{"prompt":"a"}', { scorer: "best" })).toThrow(
    expect.objectContaining({
      name: "UsageError",
      message: expect.stringMatching(/^Unknown scorer "best": there are exact, contains, .*function$/) as string,
    }),
  );
});

test("readTask() names a file that is not there", async () => {
  await expect(readTask("/nowhere/t.jsonl")).rejects.toThrow('Cannot read task "/nowhere/t.jsonl": no such file');
});
