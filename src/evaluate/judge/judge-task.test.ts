import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, describe, expect, test, vi } from "vitest";

import { EndpointServer, type Behave, answering, json } from "../../../test/endpoint-server.js";
import { sharedModel } from "../../../test/shared.js";
import { CostCap } from "../endpoint/cost-cap.js";
import { evaluateTask } from "../run-task.js";
import type { CaseResult, TaskResult } from "../task-result.js";
import { parseTask } from "../task.js";
import { readTask } from "../tasks/read-task.js";
import type { AskOptions } from "./ask-judge.js";
import { JudgeSpending } from "./judge-cost.js";
import { type JudgeMemory, ShortMemory } from "./judge-memory.js";
import { judgeTask, requireJudges } from "./judge-task.js";

const bundled = fileURLToPath(new URL("../../../models/home-commands-f16.gguf", import.meta.url));
const chatModel = sharedModel("minimind2-small-f16.gguf");
const stories = sharedModel("stories15M-f16.gguf");
const folder = mkdtempSync(join(tmpdir(), "pare-judge-"));
afterAll(() => rmSync(folder, { recursive: true }));

const options: AskOptions = { waitMs: 1, runFile: () => Promise.reject(new Error("no file is judged with here")) };

/** A judge that likes the answer with "good" in it. */
const fair = (question: string): string => {
  const [, a = "", b = ""] = /ANSWER A\]\n(.*?)\n\[END.*ANSWER B\]\n(.*?)\n\[END/su.exec(question) ?? [];
  if (a.includes("good") === b.includes("good")) return "Verdict: tie";
  return `One of them is good.\nVerdict: ${a.includes("good") ? "A" : "B"}`;
};

/** Answers as a model gave them, judged. */
async function judged(
  judge: object,
  answers: readonly string[],
  fields: object = { expect: "plain" },
  baseline = "",
  own: Partial<AskOptions> = {},
) {
  const lines = answers.map((_, index) => JSON.stringify({ id: `c${index}`, prompt: "Say it", judge, ...fields }));
  const task = parseTask(lines.join("\n"), { path: "t.jsonl" });
  const measured = { tags: [], ended: "end" as const, promptTokens: 1, answerTokens: 1, prefillMs: 1 };
  const perCase = answers.map((answer, index): CaseResult => ({
    id: `c${index}`,
    score: null,
    answer,
    ...measured,
    decodeTokensPerSecond: null,
  }));
  const speed = { seconds: 3, promptTokens: 1, answerTokens: 1, prefillTokensPerSecond: 1, decodeTokensPerSecond: 1 };
  const result = { perCase, speed } as unknown as TaskResult;
  const baselineAnswers = baseline === "" ? {} : Object.fromEntries(perCase.map(({ id }) => [id, baseline]));
  return judgeTask(result, { model: "m.gguf", task, baselineAnswers }, { ...options, ...own });
}

describe("judgeTask()", () => {
  test("asks in both orders, and reports that they agree", async () => {
    await using server = await EndpointServer.start(answering(fair));
    const judge = { endpoint: server.url, model: "big", rubric: "Good is good" };
    const result = await judged(judge, ["good", "bad", " plain\n"]);
    expect(result.perCase.map(({ score }) => score)).toEqual([1, 0.5, 0.5]);
    expect(result.perCase[2]!.explanation).toBe("both answers are the same text"); // and was not asked
    expect(server.questions).toHaveLength(4);
    expect(result.judge).toEqual({
      judges: [`${server.url}#big`],
      cases: 3,
      unclear: 0,
      order: { pairs: 2, agreement: 1, kappa: 1, firstShare: 0.5 },
    });
    expect(result.perCase[0]!.judged).toEqual(["One of them is good.\nVerdict: A", "One of them is good.\nVerdict: B"]);
    expect(result.speed.seconds).toBe(3);
  });

  test("asks a file in one run, and leaves unscored what does not fit it", async () => {
    const runFile = vi.fn<AskOptions["runFile"]>(async (_model, { cases }, onCase) => {
      const [long, ...short] = cases;
      const verdict = (text: string): Pick<CaseResult, "answer" | "ended"> => ({ answer: fair(text), ended: "end" });
      const perCase = short.map(({ id, messages }) => ({ id, ...verdict(messages![0]!.content) }) as CaseResult);
      perCase.forEach(onCase);
      return { perCase, excluded: [{ id: long!.id, line: 1, reason: "it needs 900 tokens" }] };
    });
    const model = join(folder, "big.gguf");
    writeFileSync(model, "");
    const result = await judged({ model, maxTokens: 9 }, ["bad", "good"], undefined, "", { runFile });
    expect(runFile).toHaveBeenCalledTimes(1);
    expect(runFile.mock.calls[0]).toMatchObject([
      model,
      { cases: Array.from({ length: 4 }, () => ({ maxTokens: 9, stop: [] })) },
      expect.any(Function),
    ]);
    expect(result.perCase.map(({ score }) => score)).toEqual([null, 1]);
    expect(result.unscored[0]!.explanation).toBe("the judge gave no answer: it needs 900 tokens");
  });

  test("compares with the baseline's answer where nothing is expected", async () => {
    await using server = await EndpointServer.start(answering(fair));
    const result = await judged({ endpoint: server.url, model: "big" }, ["bad", "good"], {}, "also good");
    expect(result.perCase.map(({ score }) => score)).toEqual([0, 0.5]);
    expect(result.failures[0]).toEqual({
      id: "c0",
      expected: "also good",
      answer: "bad",
      explanation: "the judge prefers the other answer in both orders",
    });
  });

  test("takes a judge that goes by the place for a tie, and reports that", async () => {
    await using server = await EndpointServer.start(answering(() => "Verdict: A"));
    const result = await judged({ endpoint: server.url, model: "big" }, ["good", "bad"]);
    expect(result.score!.mean).toBe(0.5);
    expect(result.judge!.order).toEqual({ pairs: 2, agreement: 0, kappa: 0, firstShare: 1 });
    expect(result.failures[0]!.explanation).toBe("the judge contradicts itself when the order is swapped");
  });

  test("leaves nonsense unscored with its words, and does not ask again", async () => {
    const nonsense = (question: string): string => (question.includes("bad") ? "Bananas, mostly." : fair(question));
    await using server = await EndpointServer.start(answering(nonsense));
    const result = await judged({ endpoint: server.url, model: "big" }, ["good", "bad"]);
    expect(result).toMatchObject({ cases: 1, score: { mean: 1 }, judge: { cases: 2, unclear: 1 } });
    expect(result.unscored).toEqual([
      { id: "c1", answer: "bad", explanation: 'the judge names no verdict: "Bananas, mostly."' },
    ]);
    expect(server.questions).toHaveLength(4);
    await expect(judged({ endpoint: server.url, model: "big" }, ["bad"])).rejects.toThrow(
      'Nothing in task "t.jsonl" could be scored: the judge names no verdict: "Bananas, mostly."',
    );
  });

  test("grades from 1 to a number, as a share", async () => {
    const grader = (question: string): string => (/GRADE\]\ngood/u.test(question) ? "Grade: 5" : "Poor.\nGrade: 2");
    await using server = await EndpointServer.start(answering(grader));
    const result = await judged({ endpoint: server.url, model: "big", grades: 5 }, ["good", "bad"], {});
    expect(result.perCase.map(({ score }) => score)).toEqual([1, 0.25]);
    expect(result.failures).toMatchObject([{ id: "c1", explanation: "the judge gives grade 2 of 5" }]);
    expect(result.judge!.order).toBeUndefined();
    const alone = await judged({ endpoint: server.url, model: "big", grades: 5 }, ["bad"], {});
    expect(alone.score).toMatchObject({ mean: 0.25, low: 0, high: 1 }); // one case tells nothing
  });

  test("leaves a case unscored whose question is refused", async () => {
    const refusing: Behave = (request, response, count) =>
      request.body.messages?.[0]?.content.includes("bad")
        ? json(response, 400, { error: { message: "too long" } })
        : answering(fair)(request, response, count);
    await using server = await EndpointServer.start(refusing);
    const { unscored } = await judged({ endpoint: server.url, model: "big" }, ["good", "bad"]);
    expect(unscored).toMatchObject([{ id: "c1", explanation: expect.stringMatching(/too long$/u) as string }]);
  });

  test("keeps what an endpoint said before it failed, and asks only the rest", async () => {
    await using server = await EndpointServer.start((request, response, count) =>
      server.questions.length > 4 // which is how many are under way at once
        ? json(response, 401, { error: { message: "out of credit" } })
        : answering(fair)(request, response, count),
    );
    const memory = new ShortMemory();
    const asked = new Set<string>();
    const watched: JudgeMemory = {
      has: (key) => memory.has(key),
      step: (key, ask) => memory.step(key, () => (asked.add(key), ask())),
    };
    const judge = { endpoint: server.url, model: "big" };
    const answers = ["good", "bad", "good and long"];
    await expect(judged(judge, answers, undefined, "", { memory: watched })).rejects.toThrow(/out of credit/u);
    const kept = [...asked].filter((key) => memory.has(key)).length;
    expect(kept).toBeGreaterThan(0);
    asked.clear();
    server.behave = answering(fair);
    const result = await judged(judge, answers, undefined, "", { memory: watched });
    expect(result.perCase.map(({ score }) => score)).toEqual([1, 0.5, 1]);
    expect(asked.size).toBe(6 - kept);
  });

  test("asks about the same answer to the same case once, and tells what that took", async () => {
    await using server = await EndpointServer.start(answering(fair));
    const judge = { endpoint: server.url, model: "big" };
    const onSpent = vi.fn<NonNullable<AskOptions["onSpent"]>>();
    await judged(judge, ["good", "good"], undefined, "", { onSpent });
    expect(server.questions).toHaveLength(2); // the cases are alike, too
    expect(onSpent).toHaveBeenCalledTimes(2);
    expect(onSpent.mock.calls[0]![0]).toMatchObject({ promptTokens: 10 });
  });

  test.each<[string, Behave, RegExp]>([
    ["a web page", (_, response) => void response.writeHead(200, { "content-type": "text/html" }).end("<p>"), /HTML/u],
    ["an error", (_, response) => json(response, 500, { error: { message: "out of memory" } }), /500: out of memory/u],
  ])("fails when the endpoint answers with %s", async (_what, behave, message) => {
    await using server = await EndpointServer.start(behave);
    const judge = { endpoint: server.url, model: "big" };
    await expect(judged(judge, ["good", "bad"])).rejects.toThrow(message);
    const { cases } = parseTask(JSON.stringify({ prompt: "a", expect: "b", judge }), { path: "t.jsonl" });
    await expect(requireJudges(cases, 1, options)).rejects.toThrow(/^Cannot judge with "http/u);
  });
});

describe("a judge", () => {
  const casesOf = (fields: object) => parseTask(JSON.stringify({ prompt: "a", ...fields }), { path: "t.jsonl" }).cases;

  test("has its key in the environment, sent to it and found in no result", async () => {
    await using server = await EndpointServer.start(answering(fair));
    const judge = { endpoint: server.url, model: "big", keyEnv: "PARE_TEST_JUDGE_KEY" };
    await expect(requireJudges(casesOf({ judge }), 1, options)).rejects.toThrow(/PARE_TEST_JUDGE_KEY is not set/u);
    vi.stubEnv("PARE_TEST_JUDGE_KEY", "sk-secret");
    try {
      const result = await judged(judge, ["good"]);
      expect(server.questions[0]!.authorization).toBe("Bearer sk-secret");
      expect(JSON.stringify(result)).not.toContain("sk-secret");
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test("is refused where it can't be asked, or its answer can't be used", async () => {
    expect(() => casesOf({ scorer: "judge" })).toThrow(/needs "judge"/u);
    expect(() => casesOf({ judge: { model: "m.gguf", key: "sk-1" } })).toThrow(/"judge": Unrecognized key: "key"/u);
    expect(() => casesOf({ judge: { model: "m.gguf", keyEnv: "K" } })).toThrow(/no "endpoint"/u);
    expect(() => casesOf({ judge: { model: "m", endpoint: "x", keyEnv: "sk-1" } })).toThrow(/never a key itself/u);
    const judge = { model: "none.gguf" };
    await expect(requireJudges(casesOf({ judge }), 1, options)).rejects.toThrow(/none\.gguf": there is no such file/u);
    await expect(requireJudges(casesOf({ judge }), 2, options)).rejects.toThrow(/repeats are asked for/u);
  });

  test("has a cap on its cost only where it costs something", () => {
    const judge = { endpoint: "http://127.0.0.1:9/v1", model: "m" };
    const taskOf = (fields: object) =>
      parseTask(JSON.stringify({ prompt: "x", expect: "y", ...fields }), { path: "t" });
    const prices = { promptPerMillion: 1, answerPerMillion: 2 };
    for (const spending of [
      new JudgeSpending(new CostCap(1), prices),
      new JudgeSpending(new CostCap(undefined), prices),
    ]) {
      expect(() => spending.requireUse(taskOf({}))).toThrow(/Nothing in "t" is scored by a judge at an endpoint/);
      expect(() => spending.requireUse(taskOf({ judge: { model: "judge.gguf" } }))).toThrow(/judge at an endpoint/);
      expect(() => spending.requireUse(taskOf({ judge }))).not.toThrow();
    }
    expect(() => new JudgeSpending(new CostCap(undefined), undefined).requireUse(taskOf({}))).not.toThrow();
  });

  test("stands in a header for all cases, a file beside it", async () => {
    writeFileSync(
      join(folder, "cases.jsonl"),
      '{"prompt":"a","expect":"b"}\n{"prompt":"c","expect":"d","scorer":"exact"}',
    );
    writeFileSync(join(folder, "task.yaml"), "cases: cases.jsonl\njudge: { model: big.gguf, rubric: Be brief }\n");
    const { cases } = await readTask(join(folder, "task.yaml"));
    expect(cases.map(({ scorer }) => scorer)).toEqual(["judge", "exact"]);
    expect(cases[0]!.judge).toEqual({ model: join(folder, "big.gguf"), rubric: "Be brief" });
  });
});

describe("evaluateTask()", () => {
  test("has a judge at an endpoint score a model and its baseline, once their answers are there", async () => {
    const grader = (question: string): string => (question.includes("TO GRADE") ? "Grade: 3" : "ready");
    await using server = await EndpointServer.start(answering(grader));
    const judge = { endpoint: server.url, model: "big", grades: 5 };
    const prompt = readFileSync(
      fileURLToPath(new URL("../../../models/home-commands.task.jsonl", import.meta.url)),
      "utf8",
    );
    const lines = ["one", "two"].map((id, index) => {
      const { prompt: asked, messages } = JSON.parse(prompt.split("\n")[index]!) as { prompt?: string; messages?: [] };
      return JSON.stringify({ id, prompt: asked, messages, maxTokens: 4, judge });
    });
    const task = parseTask(lines.join("\n"), { path: "t.jsonl" });
    const asking: number[] = [];
    const result = await evaluateTask({
      model: bundled,
      against: bundled,
      task,
      threads: 1,
      onCase: () => asking.push(server.questions.length),
    });
    expect(result).toMatchObject({ score: { mean: 0.5 }, cases: 2, baseline: { score: { mean: 0.5 }, cases: 2 } });
    expect(asking).toEqual([1, 1]); // whether it is ready
    expect(server.questions).toHaveLength(3); // both models answer alike, so two grades are enough
  });

  test.skipIf(!chatModel || !stories)("has a small local model judge, whose nonsense is no score", async () => {
    const judge = { model: chatModel!, maxTokens: 24, rubric: "Short is good" };
    const task = parseTask(
      [
        JSON.stringify({ prompt: "Once upon a time", maxTokens: 8, expect: "no", judge }),
        JSON.stringify({ prompt: "Once upon a time", maxTokens: 8, scorer: "contains", expect: "girl" }),
      ].join("\n"),
      { path: "t.jsonl" },
    );
    const result = await evaluateTask({ model: stories!, task, threads: 1 });
    const said = result.perCase[0]!;
    expect(said.judged).toHaveLength(2);
    expect(said.judged!.every((text) => text.length > 0)).toBe(true);
    expect(result.judge).toMatchObject({ judges: [chatModel], cases: 1, unclear: 1 });
    expect(said).toMatchObject({ score: null, explanation: expect.stringMatching(/names no verdict: "/u) as string });
    expect(result).toMatchObject({ cases: 1, score: { mean: 1 } });
  });
});
