// `pare compare` as a shell runs it, against servers that answer, refuse, and die.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { compare } from "../src/compare/compare.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { EndpointServer, answering, json } from "./endpoint-server.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const inputs = temporaryFolder();
const model = inputs.path("model.gguf");
const task = inputs.path("task.jsonl");
const COUNT = 12;

beforeAll(async () => {
  await writeSyntheticModel(model);
  const cases = Array.from({ length: COUNT }, (_, index) => ({
    prompt: `${index} + 1 =`,
    expect: String(index + 1),
    scorer: "numeric",
    maxTokens: 4,
    tags: index % 2 === 0 ? "even" : "odd",
  }));
  writeFileSync(task, cases.map((one) => `${JSON.stringify(one)}\n`).join(""));
});
afterAll(() => inputs[Symbol.dispose]());

const adds = (question: string): string => String(Number(/\d+/.exec(question)![0]) + 1);

test("compare sets a file beside an endpoint: score, difference, latency, cost, what it can do", async () => {
  await using server = await EndpointServer.start(answering(adds));
  using folder = temporaryFolder();
  const out = folder.path("out");
  const args = ["compare", `local=${model}`, `cloud=${server.url}`, "--task", task, "--out", out, "--threads", "1"];
  const prices = [
    "--price",
    "cloud=1/2",
    "--price",
    "local=0.36/h",
    "--cost-cap",
    "1",
    "--volume",
    "1000",
    "--investment",
    "5",
  ];
  const outcome = await pare([...args, ...prices, "--key", "cloud=PARE_TEST_KEY", "--json"], {
    env: { PARE_TEST_KEY: "sk-very-secret" },
  });
  expect({ exitCode: outcome.exitCode, stderr: outcome.stderr }).toEqual({ exitCode: 0, stderr: "" });
  const { contenders, frontBy, cases } = documentOf("compare", outcome);
  expect({ cases, frontBy }).toEqual({ cases: COUNT, frontBy: "cost" });
  const [local, cloud] = contenders;
  expect(local).toMatchObject({ kind: "file", name: "local", cases: COUNT, integration: { jsonMode: true } });
  expect(cloud).toMatchObject({
    kind: "endpoint",
    spec: `${server.url}#tiny`,
    score: { mean: 1 },
    promptTokens: 10,
    integration: { contextLength: 512, tools: false },
    isOnFront: true,
  });
  expect(cloud!.difference!.mean).toBeCloseTo(1 - local!.score.mean);
  expect(cloud!.costPer1000).toBeCloseTo((1000 * (10 * 1 + cloud!.answerTokens * 2)) / 1e6);
  expect(cloud!.return).toMatchObject({ volume: 1000 });
  expect(server.questions.every(({ authorization }) => authorization === "Bearer sk-very-secret")).toBe(true);
  const written = readdirSync(out).map((name) => readFileSync(`${out}/${name}`, "utf8"));
  expect(readdirSync(out).sort()).toEqual(["comparison.html", "comparison.json", "journal.jsonl"]);
  expect([...written, outcome.stdout].filter((text) => text.includes("sk-very-secret"))).toEqual([]);

  const asked = server.seen.length;
  const again = await pare([...args, "--key", "cloud=PARE_TEST_KEY"], { env: { PARE_TEST_KEY: "sk-very-secret" } });
  expect(again.exitCode).toBe(0);
  expect(again.stdout).toMatch(/^ +local +cloud/);
  expect(server.seen.length - asked).toBe(1); // which model it serves
});

describe("an endpoint that dies in the middle", () => {
  test("leaves what it answered, and only the rest is asked when it is back", async () => {
    using folder = temporaryFolder();
    const out = folder.path("out");
    let port = 0;
    const request = { task, out, parallel: 1, waitMs: 1 };
    {
      await using server = await EndpointServer.start((asked, response, count) => {
        if (server.questions.length > 5) return server.kill();
        answering(adds)(asked, response, count);
      });
      port = server.port;
      const contenders = [`cloud=${server.url}#tiny`];
      await expect(compare({ ...request, contenders })).rejects.toThrow(/does not answer: .*; 5 of 12 cases are kept$/);
      expect(readFileSync(`${out}/journal.jsonl`, "utf8").trim().split("\n")).toHaveLength(5);
    }
    await using server = await EndpointServer.start(answering(adds), port);
    const { contenders } = await compare({ ...request, contenders: [`cloud=${server.url}#tiny`] });
    expect(contenders[0]).toMatchObject({ cases: COUNT, score: { mean: 1 } });
    expect(server.questions).toHaveLength(COUNT - 5);
  });
});

test("compare goes on when an endpoint refuses single questions, and says how many", async () => {
  await using server = await EndpointServer.start((request, response, count) => {
    if (request.body.prompt?.startsWith("3 ")) return json(response, 400, { error: { message: "context is 2" } });
    answering(adds)(request, response, count);
  });
  using folder = temporaryFolder();
  const { contenders, notes } = await compare({
    contenders: [`cloud=${server.url}#tiny`],
    task,
    out: folder.path("out"),
  });
  expect(contenders[0]).toMatchObject({ cases: COUNT - 1, unscored: 1 });
  expect(notes[0]).toMatch(/^1 answers of cloud could not be scored/);
});

test("compare asks choices with letters where an endpoint takes part", async () => {
  await using server = await EndpointServer.start(answering(() => "B"));
  using folder = temporaryFolder();
  const choices = folder.path("choices.jsonl");
  writeFileSync(choices, '{"prompt": "Ice is", "choices": [" hot", " cold"], "expect": 1}\n');
  const result = await compare({ contenders: [`${server.url}#tiny`], task: choices, out: folder.path("out") });
  expect(server.questions[0]!.body.messages).toEqual([
    { role: "user", content: "Ice is\n\nA. hot\nB. cold\n\nAnswer with the letter alone." },
  ]);
  expect(result.contenders[0]!.score.mean).toBe(1);
  expect(result.notes[0]).toMatch(/asked with letters/);
});

describe("a judge", () => {
  const verdicts = (question: string): string => {
    if (question.includes("TO GRADE")) return /GRADE\]\ngood/u.test(question) ? "Grade: 3" : "Grade: 1";
    const [, a = ""] = /ANSWER A\]\n(.*?)\n\[END/su.exec(question) ?? [];
    return `Verdict: ${a.includes("good") ? "A" : "B"}`;
  };
  const cases = (...ids: string[]) => ids.map((id) => ({ id, prompt: `Say ${id}`, maxTokens: 8 }));
  const asks = (server: EndpointServer) => server.questions.filter(({ body }) => body.model === "big");

  test("compares answers with the first contender's, and is asked nothing twice", async () => {
    await using server = await EndpointServer.start((request, response, count) => {
      const { model: name = "" } = request.body;
      answering(name === "big" ? verdicts : () => (name === "fine" ? "good" : "plain"))(request, response, count);
    });
    using folder = temporaryFolder();
    const judge = { endpoint: server.url, model: "big" };
    const path = folder.path("task.jsonl");
    writeFileSync(
      path,
      cases("one", "two")
        .map((one) => `${JSON.stringify({ ...one, judge })}\n`)
        .join(""),
    );
    const contenders = [`first=${server.url}#poor`, `second=${server.url}#fine`, `third=${server.url}#poor`];
    const request = { contenders, task: path, out: folder.path("out"), waitMs: 1 };
    const result = await compare(request);
    expect(result.contenders.map(({ score }) => score.mean)).toEqual([0.5, 1, 0.5]);
    expect(result.contenders[1]).toMatchObject({
      judge: { judges: [`${server.url}#big`], cases: 2, unclear: 0, order: { pairs: 2, agreement: 1 } },
      difference: { mean: 0.5 },
    });
    const asked = asks(server).length;
    await compare(request);
    expect(asks(server).length - asked).toBe(1); // whether it is there
    expect(asked).toBe(1 + 2 * 2);
  });

  test("grades each answer, under the cap of the comparison", async () => {
    await using server = await EndpointServer.start((request, response, count) =>
      answering(request.body.model === "big" ? verdicts : () => "good")(request, response, count),
    );
    using folder = temporaryFolder();
    const path = folder.path("task.jsonl");
    const judge = { endpoint: server.url, model: "big", grades: 3 };
    writeFileSync(path, cases("one").map((one) => JSON.stringify({ ...one, judge }))[0]!);
    const args = ["compare", `a=${server.url}#tiny`, "--task", path, "--out", folder.path("out"), "--json"];
    const unpriced = await pare([...args, "--price", "a=1/2", "--cost-cap", "1"]);
    expect(failureOf(unpriced).message).toBe("A cost cap needs the price of the judge");
    const low = await pare([...args, "--price", "a=1/2", "--judge-price", "10/30", "--cost-cap", "0.01"]);
    expect(failureOf(low).message).toMatch(/may cost up to \$0\.02, the cap is \$0\.01/u);
    expect(server.questions).toEqual([]);
    const outcome = await pare([...args, "--price", "a=1/2", "--judge-price", "10/30", "--cost-cap", "0.03"]);
    expect(documentOf("compare", outcome).contenders[0]).toMatchObject({ score: { mean: 1 }, judge: { cases: 1 } });
  });
});

test.each<[string, string[], number, RegExp]>([
  [
    "the price of a judge that nobody asks",
    ["MODEL", "--task", task, "--judge-price", "2/10"],
    2,
    /scored by a judge at an endpoint, and the price of one is given/,
  ],
  ["no task", ["MODEL"], 2, /No task is given/],
  ["half an address", ["MODEL", "http://", "--task", task], 2, /"http:\/\/" is no address of an endpoint/],
  ["two of one name", ["a=MODEL", "a=URL#tiny", "--task", task], 2, /Two contenders are called "a"/],
  ["a price of nobody", ["a=MODEL", "--task", task, "--price", "b=1/2"], 2, /"b" is no contender: there are a/],
  ["a price that is none", ["a=MODEL", "--task", task, "--price", "a=cheap"], 2, /"a=cheap" is no price/],
  [
    "a key that is not set",
    ["a=URL#tiny", "--task", task, "--key", "a=PARE_NO_SUCH_KEY"],
    2,
    /PARE_NO_SUCH_KEY is not set/,
  ],
  [
    "a key instead of its variable",
    ["a=URL#tiny", "--task", task, "--key", "sk-123-456"],
    2,
    /A key is named as NAME=VARIABLE/,
  ],
  ["a cap without a price", ["a=URL#tiny", "--task", task, "--cost-cap", "1"], 2, /A cost cap needs the price of "a"/],
  [
    "a cap that is too low",
    ["a=URL#tiny", "--task", task, "--cost-cap", "0", "--price", "a=1/2"],
    2,
    /may cost up to \$0.00, the cap is \$0.00/,
  ],
  ["a file that is not there", ["gone.gguf", "--task", task], 1, /gone.gguf/],
])("compare refuses %s before it asks anything", async (_what, args, exitCode, message) => {
  await using server = await EndpointServer.start();
  using folder = temporaryFolder();
  const words = args.map((word) => word.replace("MODEL", model).replace("URL", server.url));
  const outcome = await pare(["compare", ...words, "--out", folder.path("out"), "--json"]);
  expect(failureOf(outcome).message).toMatch(message);
  expect(outcome.exitCode).toBe(exitCode);
  expect(server.questions).toEqual([]);
  expect(outcome.stdout).not.toContain("sk-123-456");
});
