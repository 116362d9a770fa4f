// Tasks as people write them: a file, a header with a file, a folder.
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { readTask } from "./read-task.js";

const PARQUET = fileURLToPath(new URL("../../../test/golden/cases.parquet", import.meta.url));

let folder = "";
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "pare-tasks-"))));
afterEach(() => rmSync(folder, { recursive: true }));

/** Writes files and gives the path of the first. */
function write(files: Record<string, string>): string {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return join(folder, Object.keys(files)[0]!);
}

const JSONL = '{"text": "I lost my card", "intent": "lost"}\n{"text": "Add money", "intent": "top up"}\n';
const HEADER = `
name: intents
cases: test.jsonl
prompt: "Message: {{ text }}\\nIntent:"
expect: "{{ intent }}"
labels: [lost, top up]
limits: { maxTokens: 8 }
stop: "\\n"
`;

describe("a header", () => {
  test("puts the columns of a file into prompts and answers, and its fields into all cases", async () => {
    const task = await readTask(write({ "task.yaml": HEADER, "test.jsonl": JSONL }));
    expect(task).toMatchObject({ name: "intents", files: [join(folder, "task.yaml"), join(folder, "test.jsonl")] });
    expect(task.cases).toMatchObject([
      {
        id: "line-1",
        prompt: "Message: I lost my card\nIntent:",
        expect: "lost",
        scorer: "label",
        maxTokens: 8,
        stop: ["\n"],
      },
      { id: "line-2", prompt: "Message: Add money\nIntent:", expect: "top up" },
    ]);
  });

  test("counts the module that scores among the files, whose hashes make that of the task", async () => {
    const line = JSON.stringify({ prompt: "Say it", score: "own.mjs" });
    const path = write({ "own.jsonl": `${line}\n`, "own.mjs": "export const score = () => 1;" });
    const before = await readTask(path);
    expect(before.files).toEqual([path, join(folder, "own.mjs")]);
    write({ "own.mjs": "export const score = () => 0;" });
    expect((await readTask(path)).sha256).not.toBe(before.sha256);
  });

  test("is found in a folder, and the hash is that of both files", async () => {
    write({ "task.yaml": HEADER, "test.jsonl": JSONL });
    const before = await readTask(folder);
    expect(before.path).toBe(folder);
    write({ "test.jsonl": JSONL.replace("money", "Money") });
    expect((await readTask(folder)).sha256).not.toBe(before.sha256);
    write({ "test.jsonl": JSONL, "task.yaml": `${HEADER}\n` });
    expect((await readTask(folder)).sha256).not.toBe(before.sha256);
    write({ "task.yaml": HEADER });
    expect((await readTask(folder)).sha256).toBe(before.sha256);
  });

  test("makes conversations with a system message, and keeps what a case says itself", async () => {
    const path = write({
      "task.yaml": "system: Be brief\nscorer: contains\nmaxTokens: 5\n",
      "cases.jsonl":
        '{"prompt": "Sky?", "expect": "blue"}\n{"messages": [{"role": "user", "content": "2+2"}], "expect": 4, "scorer": "numeric", "maxTokens": 3}\n',
    });
    const { cases } = await readTask(path);
    expect(cases[0]).toMatchObject({
      messages: [
        { role: "system", content: "Be brief" },
        { role: "user", content: "Sky?" },
      ],
      scorer: "contains",
      maxTokens: 5,
    });
    expect(cases[0]!.prompt).toBeUndefined();
    expect(cases[1]).toMatchObject({
      scorer: "numeric",
      maxTokens: 3,
      messages: [{ role: "system" }, { content: "2+2" }],
    });
  });

  test("shows examples before a prompt, drawn by the seed", async () => {
    const shots =
      '{"text": "a", "intent": "lost"}\n{"text": "b", "intent": "top up"}\n{"text": "c", "intent": "lost"}\n';
    const header = `${HEADER}examples: shots.jsonl\nfewShot: 2\n`;
    const path = write({ "task.yaml": header, "test.jsonl": JSONL, "shots.jsonl": shots });
    const [first] = (await readTask(path)).cases;
    expect(first!.prompt).toMatch(/^(Message: [abc]\nIntent: (lost|top up)\n\n){2}Message: I lost my card\nIntent:$/);
    expect((await readTask(path)).cases[0]!.prompt).toBe(first!.prompt);
    const orders = new Set<string>();
    for (let seed = 1; seed <= 8; seed++) {
      write({ "task.yaml": `${header}seed: ${seed}\n` });
      orders.add((await readTask(path)).cases[0]!.prompt!);
    }
    expect(orders.size).toBeGreaterThan(1);
  });

  test("shows examples as turns of a conversation", async () => {
    const path = write({
      "task.yaml": 'chat: true\nexamples: [{ prompt: "1+1", expect: 2 }]\n',
      "cases.jsonl": '{"prompt": "2+2", "expect": 4}\n',
    });
    expect((await readTask(path)).cases[0]!.messages).toEqual([
      { role: "user", content: "1+1" },
      { role: "assistant", content: "2" },
      { role: "user", content: "2+2" },
    ]);
  });

  test("refuses a case that is also an example, unless faulty ones are left out", async () => {
    const path = write({ "task.yaml": `${HEADER}examples: test.jsonl\nfewShot: 1\n`, "test.jsonl": JSONL });
    await expect(readTask(path)).rejects.toThrow(/line [12]: it is also shown as an example/);
    expect((await readTask(path, { excludeFaulty: true })).excluded).toHaveLength(1);
  });

  test("takes repeats, temperature, seed and the limit of cases", async () => {
    const text = `${HEADER.replace("maxTokens: 8", "cases: 1")}repeats: 3\ntemperature: 0.5\nseed: 9\n`;
    const task = await readTask(write({ "task.yaml": text, "test.jsonl": JSONL }));
    expect(task).toMatchObject({ repeats: 3, temperature: 0.5, seed: 9 });
    expect(task.cases).toHaveLength(1);
  });
});

test.each([
  ["an unknown field", "promt: x\n", /the field "promt" is unknown: there are prompt, expect, /],
  ["a wrong type", "repeats: many\n", /"repeats": /],
  ["YAML that is none", "name: [\n", /line 2: /],
  ["a list", "- a\n", /it is no YAML mapping/],
  [
    "a column that is not there",
    'prompt: "{{ txt }}"\n',
    /cases.jsonl": line 1: "prompt": the template names the column "txt", there are text, intent/,
  ],
  ["a template that is none", 'prompt: "{{ text"\n', /task.yaml": "prompt": /],
  ["cases that are not there", "cases: none.csv\n", /none.csv": no such file/],
  ["examples that are none", 'prompt: "{{ text }}"\nfewShot: 2\n', /"fewShot" is 2, and there are no "examples"/],
  [
    "too few examples",
    'prompt: "{{ text }}"\nfewShot: 2\nexamples: [{text: a}]\n',
    /"fewShot" is 2, and there are 1 examples/,
  ],
  ["an example without an answer", 'prompt: "{{ text }}"\nexamples: [{text: a}]\n', /an example needs "expect"/],
])("readTask() refuses a header with %s", async (_what, header, message) => {
  await expect(readTask(write({ "task.yaml": header, "cases.jsonl": JSONL }))).rejects.toThrow(message);
});

test("readTask() refuses a folder without a task", async () => {
  await expect(readTask(folder)).rejects.toThrow(/the folder has neither a task.yaml nor a file of cases/);
  write({ "a.csv": "prompt\nx\n", "b.csv": "prompt\ny\n" });
  await expect(readTask(folder)).rejects.toThrow(/the folder has no task.yaml and 2 files of cases/);
});

describe("a table", () => {
  test("has a case in each row, lists and numbers as JSON, empty cells left out", async () => {
    const csv = [
      "id,prompt,expect,choices,tags,maxTokens,tolerance",
      'a,"Which, and\nwhy?",ice,"[""ice"", ""fire""]",warm,,',
      'b,"2 + 2 =",4,,"[""sums"", ""easy""]",7,1%',
    ].join("\n");
    const { cases } = await readTask(write({ "cases.csv": `\uFEFF${csv}\n` }));
    expect(cases).toMatchObject([
      { id: "a", prompt: "Which, and\nwhy?", choices: ["ice", "fire"], scorer: "choice", tags: ["warm"] },
      { id: "b", expect: "4", tags: ["sums", "easy"], maxTokens: 7, tolerance: "1%", scorer: "numeric" },
    ]);
  });

  test("may be separated by tabs", async () => {
    const { cases } = await readTask(write({ "cases.tsv": "prompt\texpect\na, b\tc\n" }));
    expect(cases).toMatchObject([{ prompt: "a, b", expect: "c" }]);
  });

  test.each([
    ["a quote that never ends", 'prompt\n"a\n', /Quote/],
    ["a row with more cells than columns", "prompt\na,b\n", /line 2|Invalid Record Length/],
    ["two columns of one name", "prompt,prompt\na,b\n", /two columns are called "prompt"/],
    ["an unknown column", "prompt,answer\na,b\n", /the field "answer" is unknown/],
    ["no rows", "prompt,expect\n", /it has no cases/],
  ])("is refused with %s", async (_what, text, message) => {
    await expect(readTask(write({ "cases.csv": text }))).rejects.toThrow(message);
  });
});

describe("Parquet", () => {
  test("is read with its lists, and counts rows from 1", async () => {
    copyFileSync(PARQUET, join(folder, "cases.parquet"));
    const path = write({
      "task.yaml":
        'cases: cases.parquet\nid: "{{ id }}"\nprompt: "{{ question }}"\nchoices: "{{ choices.text }}"\nexpect: "{{ choices.label.index(answerKey) }}"\n',
    });
    const { cases } = await readTask(path);
    expect(cases).toMatchObject([
      { id: "q1", line: 1, prompt: "What melts?", choices: ["ice", "stone"], expect: 0, scorer: "choice" },
      { id: "q2", line: 2, choices: ["fish", "birds", "rocks"], expect: 1 },
    ]);
  });

  test("is refused where it is damaged", async () => {
    await expect(readTask(write({ "cases.parquet": "PAR1 no" }))).rejects.toThrow(/no Parquet file that can be read/);
  });
});

test("readTask() takes the only file of cases in a folder", async () => {
  mkdirSync(join(folder, "one"));
  writeFileSync(join(folder, "one", "x.csv"), "prompt,expect\na,b\n");
  expect((await readTask(join(folder, "one"))).cases).toHaveLength(1);
});
