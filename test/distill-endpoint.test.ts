// Learning from an endpoint's answers, with a server of our own as the endpoint.
import { readFileSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { distill } from "../src/passes/distill/distill.js";
import type { DistillRequest } from "../src/passes/distill/settings.js";
import type { PareServer } from "../src/serve/serve.js";
import { temporaryFolder } from "./command.js";
import { BUNDLED, startServer } from "./serve-fixture.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const folder = temporaryFolder();
const prompts = folder.path("prompts.jsonl");
let server: PareServer;
beforeAll(async () => {
  server = await startServer();
  const asked = ["Turn on the light", "Open the door", "Make it warmer", "Stop the music", "Good night", "Call home"];
  const lines = asked.map((content, i) =>
    i % 2 === 1
      ? {
          messages: [
            { role: "user", content },
            { role: "assistant", content: "-" },
          ],
        }
      : { prompt: content, completion: "-" },
  );
  writeFileSync(prompts, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
});
afterAll(async () => {
  await server.close();
  folder[Symbol.dispose]();
});

const request = (): DistillRequest => ({
  teacher: `${server.url}/v1`,
  texts: [prompts],
  student: BUNDLED,
  output: folder.path("student.gguf"),
  validationShare: 0.17, // the last, a chat: its end is as sure as the rest
  answerTokens: 12,
  contextLength: 48,
  batch: 1,
  steps: 2,
  threads: 1,
});

test("distill() learns from an endpoint's answers with what it expected at each token, and asks nothing twice", async () => {
  const result = await distill(request());
  expect(result.warnings).toEqual([]);
  expect(result.teacher).toEqual({ path: `${server.url}/v1`, sha256: null });
  expect(result.settings.top).toBe(20);
  const answers = readFileSync(folder.path("student.gguf.run/answers.jsonl"), "utf8").trim().split("\n").slice(1);
  expect(answers).toHaveLength(6);
  expect(result.taught.targets).toBeGreaterThan(4);
  expect(result.taught.restMean).toBeLessThan(0.2);
  // Student and teacher are one model here: what it learns is what it expects already.
  expect(result.validation!.divergence).toBeLessThan(0.05);
  expect(Math.abs(result.validation!.lossBefore - result.validation!.lossOfTeacher!)).toBeLessThan(0.05);
  const requests = await fetch(`${server.url}/metrics`).then((response) => response.text());
  const again = await distill(request());
  expect(again.sha256).toBe(result.sha256);
  const after = await fetch(`${server.url}/metrics`).then((response) => response.text());
  expect(tokensOf(after)).toBe(tokensOf(requests));
});

function tokensOf(metrics: string): string {
  return metrics
    .split("\n")
    .filter((line) => /^[a-z_]*tokens[a-z_]*(total)?\b/.test(line))
    .join("\n");
}

test("of an endpoint with other tokens, the text alone is learned, and that is said", async () => {
  const student = folder.path("other.gguf");
  await writeSyntheticModel(student, { width: 32, feedForward: 48, vocabulary: 420 });
  const lines = [1, 2, 3].map((i) => `${JSON.stringify({ prompt: `Number ${i}`, completion: "-" })}\n`);
  const texts = folder.path("numbers.jsonl");
  writeFileSync(texts, lines.join(""));
  const result = await distill({
    ...request(),
    contextLength: 16,
    student,
    texts: [texts],
    output: folder.path("other-out.gguf"),
  });
  expect(result.warnings).toEqual([expect.stringMatching(/^Of \d of 3 answers only the text is learned/)]);
});

test.each([
  ["a cut student", { student: undefined, layers: 2 }, /shows no weights to cut/],
  ["a text that the teacher writes", { sample: 100 }, /sample needs a teacher that reads text/],
  ["plain text", { texts: [folder.path("plain.txt")] }, /plain text asks for no answer/],
  ["a server that is not there", { teacher: "http://127.0.0.1:9/v1" }, /Cannot reach "http:\/\/127.0.0.1:9/],
  ["a path that is not there", { teacherModel: "nobody" }, /refused with status 404/],
])("distill() from an endpoint refuses %s", async (_what, change, message) => {
  writeFileSync(folder.path("plain.txt"), "once upon a time");
  const output = folder.path("refused.gguf");
  await expect(distill({ ...request(), output, ...change })).rejects.toThrow(message);
});
