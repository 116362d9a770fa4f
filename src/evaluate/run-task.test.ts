import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { existsSync } from "node:fs";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { sharedModel } from "../../test/shared.js";
import { loadEngine } from "../native/engine.js";
import { LlamaModel } from "../native/llama-model.js";
import { PromptTokenizer } from "./prompt-tokens.js";
import { answersOf, evaluateTask, evaluateTaskInProcess, type TaskRequest } from "./run-task.js";
import { parseTask } from "./task.js";

const threads = 1; // tests share the machine
const stories = sharedModel("stories15M-f16.gguf");
const chatModel = sharedModel("minimind2-small-f16.gguf");
const folder = mkdtempSync(join(tmpdir(), "pare-run-task-"));
afterAll(() => rmSync(folder, { recursive: true }));

const CONTINUATION = ", there was a little girl named Lily.";

function taskOf(...cases: object[]) {
  return parseTask(cases.map((one) => JSON.stringify(one)).join("\n"), { path: "t.jsonl" });
}

describe("evaluateTaskInProcess()", () => {
  let model: LlamaModel;
  beforeAll(() => {
    if (stories) model = LlamaModel.load(loadEngine(), stories);
  });
  afterAll(() => model?.[Symbol.dispose]());

  const evaluate = (request: Omit<TaskRequest, "model">) =>
    evaluateTaskInProcess(model, { model: stories!, threads, ...request });

  test.skipIf(!stories)("scores cases of every scorer, in all and by tag", async () => {
    const once = { prompt: "Once upon a time", maxTokens: 10 };
    const result = await evaluate({
      task: taskOf(
        { ...once, id: "right", expect: CONTINUATION, tags: ["a", "b"] },
        { ...once, id: "wrong", expect: "no", tags: ["a"] },
        { ...once, id: "found", scorer: "contains", expect: ["girl", "Lily"] },
        { ...once, id: "matched", pattern: "named (\\w+)", expect: "Lily" },
        { ...once, id: "chosen", choices: [", there was a big cat", ", there was a little girl"], expect: 1 },
        { ...once, id: "shaped", schema: { type: "object" }, tags: ["b"] },
      ),
    });
    expect(result.perCase.map(({ id, score }) => [id, score])).toEqual([
      ["right", 1],
      ["wrong", 0],
      ["found", 1],
      ["matched", 1],
      ["chosen", 1],
      ["shaped", 0],
    ]);
    expect(result.cases).toBe(6);
    expect(result.score!.mean).toBeCloseTo(4 / 6);
    expect(result.score!.low).toBeCloseTo(0.3, 2); // Wilson, 4 of 6
    expect(result.score!.high).toBeCloseTo(0.903, 3);
    expect(result.tags["a"]).toMatchObject({ mean: 0.5, cases: 2 });
    expect(result.tags["b"]).toMatchObject({ mean: 0.5, cases: 2 });
    expect(result.failures).toMatchObject([
      { id: "wrong", expected: "no", answer: CONTINUATION },
      { id: "shaped", expected: "JSON that follows the schema" },
    ]);
    expect(result.failures[0]!.explanation).toBe(
      `the answer ${JSON.stringify(CONTINUATION)} is not "no" (cut off after 10 tokens)`,
    );
  });

  test.skipIf(!stories)("scores agreement with a baseline's answers where nothing is expected", async () => {
    const task = taskOf({ prompt: "Once upon a time" }, { prompt: "The dog", choices: [" ran", " 17"] });
    const baseline = await evaluate({ task, isBaseline: true, maxTokens: 6 });
    expect(baseline).toMatchObject({ score: null, cases: 0 });
    expect(baseline.unscored).toHaveLength(2);
    const same = await evaluate({ task, baselineAnswers: answersOf(baseline), maxTokens: 6 });
    expect(same.score!.mean).toBe(1);
    const other = await evaluate({ task, baselineAnswers: { "line-1": "x", "line-2": " 17" }, maxTokens: 6 });
    expect(other.failures.map(({ expected }) => expected)).toEqual(["x", " 17"]);
  });

  test.skipIf(!stories)("does not count an answer that can't be judged", async () => {
    const once = { prompt: "Once upon a time", maxTokens: 40 };
    const slow = { ...once, id: "slow", pattern: "^(([a-zA-Z ,.])+)+$" };
    const { cases, unscored, score } = await evaluate({
      task: taskOf(slow, { ...once, scorer: "contains", expect: "Lily" }),
    });
    expect(cases).toBe(1);
    expect(score!.mean).toBe(1);
    expect(unscored).toMatchObject([{ id: "slow", explanation: expect.stringMatching(/took longer than/) as string }]);
    await expect(evaluate({ task: taskOf(slow) })).rejects.toThrow(
      /^Nothing in task "t.jsonl" could be scored: the pattern/,
    );
  });

  test.skipIf(!stories)("normalizes likelihoods of choices per token or byte where a case asks for it", async () => {
    const choices = [" to", " to play with the other children in the park"];
    const prompt = "Lily wanted";
    const { perCase } = await evaluate({
      task: taskOf(
        { prompt, choices, expect: 0 },
        { prompt, choices, expect: 0, normalize: "tokens" },
        { prompt, choices, expect: 0, normalize: "bytes" },
      ),
    });
    const [sum, perToken, perByte] = perCase.map(({ logLikelihoods }) => logLikelihoods!);
    expect(perCase[0]!.score).toBe(1);
    expect(perToken![1]).toBeCloseTo(sum![1]! / 9, 6);
    expect(perByte![1]).toBeCloseTo(sum![1]! / choices[1]!.length, 6);
  });

  test.skipIf(!stories)("asks a case several times, the same whatever runs beside it", async () => {
    const task = taskOf(
      { id: "a", prompt: "Once upon a time", scorer: "contains", expect: "Lily", maxTokens: 12 },
      { id: "b", prompt: "The dog", scorer: "contains", expect: "the", maxTokens: 8 },
      { id: "c", prompt: "Lily", choices: [" was", " xylophone"], expect: 0 },
    );
    const repeats = { repeats: 4, temperature: 1.5 };
    const together = await evaluate({ task, ...repeats });
    const alone = await evaluate({ task, ...repeats, parallel: 1 });
    const answers = ({ perCase }: typeof alone) => perCase.map(({ id, repeats }) => [id, repeats]);
    expect(answers(together)).toEqual(answers(alone));
    const [first] = together.perCase;
    expect(new Set(first!.repeats!.map(({ answer }) => answer)).size).toBeGreaterThan(1);
    expect(together.perCase[2]!.repeats).toBeUndefined(); // a choice is no draw
    expect(together.repeats).toMatchObject({ count: 4 });
    expect(together.repeats!.passPower).toHaveLength(4);
  });

  test.skipIf(!stories)("runs code only where that is allowed", async () => {
    const task = taskOf({ prompt: "Once upon a time", test: "/* any text is no program */", maxTokens: 3 });
    await expect(evaluate({ task })).rejects.toThrow('Task "t.jsonl" runs code to score line 1 ("code")');
    expect((await evaluate({ task, allowCode: true })).perCase[0]).toMatchObject({
      score: 0,
      explanation: expect.stringMatching(/SyntaxError/) as string,
    });
  });

  test.skipIf(!stories)("names cases that are longer than the context, and counts the rest", async () => {
    const long = { prompt: "Once upon a time. ".repeat(80), expect: "x" };
    const task = taskOf(...["p", "q", "r", "s", "t"].map((id) => ({ id, ...long })), {
      id: "u",
      prompt: "a",
      expect: "x",
    });
    await expect(evaluate({ task })).rejects.toThrow(
      /^Cannot run case "p" \(line 1\): it needs \d+ tokens; case "q" .*; and 2 more, the context of ".*" has 256$/,
    );
    const { excluded, perCase } = await evaluate({ task, excludeFaulty: true, maxTokens: 1 });
    expect(excluded).toHaveLength(5);
    expect(perCase).toHaveLength(1);
  });

  test.skipIf(!stories)("runs only the cases it is asked for", async () => {
    const task = taskOf({ id: "a", prompt: "a", expect: "x" }, { id: "b", prompt: "b", expect: "x" });
    const ids = async (cases: TaskRequest["cases"]) =>
      (await evaluate({ task, cases, maxTokens: 1 })).perCase.map(({ id }) => id);
    expect(await ids(["b"])).toEqual(["b"]);
    expect(await ids(1)).toEqual(["a"]);
    await expect(ids(["c"])).rejects.toThrow('Task "t.jsonl" has no case "c"');
  });

  test.skipIf(!stories)("leaves out what is too long for the context when asked, and names it", async () => {
    const task = taskOf(
      { id: "short", prompt: "Once upon a time", maxTokens: 10, expect: CONTINUATION },
      { id: "novel", prompt: "Once upon a time ".repeat(200), expect: "x" },
    );
    const { perCase, cases, excluded } = await evaluate({ task, excludeFaulty: true });
    expect({ ids: perCase.map(({ id }) => id), cases }).toEqual({ ids: ["short"], cases: 1 });
    expect(excluded).toMatchObject([
      { id: "novel", line: 2, reason: expect.stringMatching(/context has 256/) as string },
    ]);
  });

  test.skipIf(!stories)("says how far the confidence of choices can be trusted, and which tag is worst", async () => {
    const choices = [", there was a big cat", ", there was a little girl"];
    const prompt = "Once upon a time";
    const { calibration, worstTag } = await evaluate({
      task: taskOf(
        { prompt, choices, expect: 1, tags: "right" },
        { prompt: `${prompt} `, choices, expect: 0, tags: "wrong" },
      ),
    });
    expect(calibration!.cases).toBe(2);
    expect(calibration!.abstention[0]).toMatchObject({ coverage: 1, score: 0.5 });
    expect(worstTag).toMatchObject({ tag: "wrong", mean: 0, cases: 1 });
  });

  test.skipIf(!stories)("names a case that is too long for the context", async () => {
    const task = taskOf(
      { prompt: "a", expect: "x" },
      { id: "novel", prompt: "Once upon a time ".repeat(100), expect: "x" },
    );
    await expect(evaluate({ task })).rejects.toThrow(
      /^Cannot run case "novel" \(line 2\): it needs \d+ tokens, the context of ".*stories15M-f16.gguf" has 256$/,
    );
  });

  test.skipIf(!stories)("refuses messages for a model without a chat template", async () => {
    const task = taskOf({ messages: [{ role: "user", content: "Hi" }], expect: "x" });
    await expect(evaluate({ task })).rejects.toThrow(
      /^Cannot run the case in line 1: ".*stories15M-f16.gguf" has no chat template, so it can't take messages$/,
    );
  });

  test.skipIf(!stories)("wants a baseline for a case without expect", async () => {
    await expect(evaluate({ task: taskOf({ prompt: "a", expect: "x" }, { prompt: "b" }) })).rejects.toThrow(
      'Cannot score task "t.jsonl": line 2 has no "expect", and there is no baseline to agree with',
    );
  });
});

test.skipIf(!chatModel)("PromptTokenizer renders a conversation with one BOS and control tokens as such", () => {
  using model = LlamaModel.load(loadEngine(), chatModel!, { vocabOnly: true });
  const tokens = new PromptTokenizer(model).conversation({ messages: [{ role: "user", content: "Hi" }] });
  const text = model.detokenize(tokens, { special: true });
  expect(text).toContain("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  expect(
    tokens.filter((token) => token === model.tokenize("<|im_end|>", { parseSpecial: true })[0]).length,
  ).toBeGreaterThan(0);
  expect(tokens.slice(1)).not.toContain(model.addsBos ? model.bosToken : -1);
});

test.skipIf(!stories)("PromptTokenizer adds no BOS to a prompt that begins with it", () => {
  using model = LlamaModel.load(loadEngine(), stories!, { vocabOnly: true });
  const tokenizer = new PromptTokenizer(model);
  expect(tokenizer.prompt("Once")[0]).toBe(model.bosToken);
  expect(tokenizer.prompt("<s>Once").filter((token) => token === model.bosToken)).toHaveLength(1);
});

describe("evaluateTask()", () => {
  const write = (text: string): string => {
    const path = join(folder, "cases.jsonl");
    writeFileSync(path, text);
    return path;
  };

  test.skipIf(!stories)("runs in a child process and compares with a baseline model", async () => {
    const task = write(
      '{"prompt":"Once upon a time"}\n{"prompt":"Once upon a time","scorer":"contains","expect":"Lily"}',
    );
    const seen: number[] = [];
    const result = await evaluateTask(
      { model: stories!, against: stories!, task, maxTokens: 10, threads },
      { onProgress: ({ done }) => seen.push(done) },
    );
    expect(result).toMatchObject({ score: { mean: 1 }, cases: 2, failures: [] });
    expect(result.baseline).toMatchObject({ model: stories, score: { mean: 1 }, cases: 1 });
    expect(seen).toEqual([1, 2, 1, 2]);
  });

  test.skipIf(!stories)("fails before it starts a child where the task is no good", async () => {
    await expect(evaluateTask({ model: stories!, task: write("\n") })).rejects.toThrow(/has no cases/);
    await expect(evaluateTask({ model: stories!, task: write('{"prompt":"a"}') })).rejects.toThrow(
      /there is no baseline/,
    );
  });

  test.skipIf(!stories)("stops when aborted", async () => {
    const task = write('{"prompt":"Once","expect":"x"}');
    const controller = new AbortController();
    const running = evaluateTask({ model: stories!, task, threads }, { signal: controller.signal });
    controller.abort();
    await expect(running).rejects.toThrow(/aborted/);
  });
});

const bundled = fileURLToPath(new URL("../../models/home-commands-f16.gguf", import.meta.url));
const bundledTask = fileURLToPath(new URL("../../models/home-commands.task.jsonl", import.meta.url));

test.skipIf(!existsSync(bundled))("the bundled model does most of its task", async () => {
  const result = await evaluateTask({ model: bundled, task: bundledTask, cases: 40, threads });
  expect(result.cases).toBe(40);
  expect(result.unscored).toEqual([]);
  expect(result.score!.mean).toBeGreaterThan(0.5);
});
