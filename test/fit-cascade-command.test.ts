// `pare fit --cascade` as a shell runs it.
import { readFileSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { quantize } from "../src/passes/quantize/quantize.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { BUNDLED } from "./serve-fixture.js";

const folder = temporaryFolder();
const small = folder.path("small.gguf");
const task = folder.path("task.jsonl");
afterAll(() => folder[Symbol.dispose]());

const ROOMS = ["attic", "kitchen", "hall", "garage", "bedroom"];
beforeAll(async () => {
  await quantize({ input: BUNDLED, output: small, type: "tq1_0" });
  const cases = Array.from({ length: 20 }, (_, i) => {
    const room = ROOMS[i % ROOMS.length]!;
    const isOff = i % 2 === 0;
    const content = `${isOff ? "Turn off" : "Turn on"} the ${room} lamp${i < 10 ? "" : " please"}`;
    return {
      messages: [{ role: "user", content }],
      expect: `{"intent":"light.${isOff ? "off" : "on"}","room":"${room}"}`,
      maxTokens: 40,
    };
  });
  writeFileSync(task, cases.map((one) => JSON.stringify(one)).join("\n"));
});

test("fit --cascade says what is kept and saved, and writes what serve reads", async () => {
  const out = folder.path("out");
  const args = ["fit", small, BUNDLED, "--cascade", "--task", task, "--keep", "90%", "--out", out, "--threads", "1"];
  const outcome = await pare([...args, "--json"]);
  expect(outcome).toMatchObject({ exitCode: 5 }); // ten cases settle nothing
  const document = documentOf("cascade", outcome);
  const { chosenOn, confirmedOn, saved, verdict } = document.evidence!;
  expect(verdict).toBe("NEED_MORE");
  expect(chosenOn.cases + confirmedOn.cases).toBe(20);
  expect(saved.requests).toBe(confirmedOn.smallShare);
  expect(saved.compute).toBeCloseTo(confirmedOn.smallShare - 1, 1); // both have as many parameters
  expect(JSON.parse(readFileSync(`${out}/cascade.json`, "utf8"))).toEqual(document);
  expect((await pare(args)).stdout).toContain("pare serve --cascade");
});

test.each([
  [["--cascade", small, BUNDLED], "--task"],
  [["--cascade", "--task", "task.jsonl", small], "two models"],
  [["--cascade", "--device", "phone", "--task", "task.jsonl", small, BUNDLED], "--device"],
])("fit %j is refused with exit code 2", async (args, message) => {
  const outcome = await pare(["fit", ...args, "--json"]);
  expect(outcome.exitCode).toBe(2);
  expect(JSON.stringify(failureOf(outcome))).toContain(message);
});
