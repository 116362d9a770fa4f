import { expect, test } from "vitest";

import { parseTask, type TaskCase } from "../task.js";
import { SCORERS, type ScorerName } from "./registry.js";
import type { Score } from "./scorer.js";

function caseOf(fields: object): TaskCase {
  return parseTask(JSON.stringify({ prompt: "?", ...fields }), { path: "t.jsonl" }).cases[0]!;
}

async function score(scorer: ScorerName, answer: string, fields: object, baselineAnswer?: string): Promise<Score> {
  return SCORERS[scorer].score(answer, caseOf({ scorer, ...fields }), baselineAnswer);
}

test("exact ignores white space at the ends, line-end style and Unicode composition, and nothing else", async () => {
  expect((await score("exact", " caf\u0065\u0301\r\nbar \n", { expect: "caf\u00e9\nbar" })).value).toBe(1);
  expect(await score("exact", "Paris", { expect: "paris" })).toEqual({
    value: 0,
    explanation: 'the answer "Paris" is not "paris"',
  });
  expect((await score("exact", "a  b", { expect: "a b" })).value).toBe(0);
});

test("exact takes numbers and booleans as their text", async () => {
  expect((await score("exact", "42", { expect: 42 })).value).toBe(1);
  expect((await score("exact", "false", { expect: false })).value).toBe(1);
});

test("exact agrees with the baseline's answer where nothing is expected", async () => {
  expect((await score("exact", "yes ", {}, "yes")).value).toBe(1);
  expect((await score("exact", "no", {}, "yes")).value).toBe(0);
});

test("contains wants every text of its list and names those that are missing", async () => {
  expect((await score("contains", "red, green and blue", { expect: ["blue", "red"] })).value).toBe(1);
  expect(await score("contains", "red and blue", { expect: ["blue", "green", "pink"] })).toEqual({
    value: 0,
    explanation: 'the answer lacks "green", "pink"',
  });
});

test("regex finds a pattern anywhere, with expect it compares the first group", async () => {
  expect((await score("regex", "it is 18 apples", { pattern: "\\d+" })).value).toBe(1);
  expect((await score("regex", "so #### 18", { pattern: "#### (-?\\d+)", expect: "18" })).value).toBe(1);
  expect(await score("regex", "so #### 19", { pattern: "#### (-?\\d+)", expect: 18 })).toEqual({
    value: 0,
    explanation: 'the pattern found "19", not "18"',
  });
  expect((await score("regex", "none", { pattern: "\\d" })).value).toBe(0);
});

test("regex gives up on a pattern that backtracks for ages, and does not call that wrong", async () => {
  const { value, explanation } = await score("regex", `${"a".repeat(40)}!`, { pattern: "^(a+)+$" });
  expect(value).toBeNull();
  expect(explanation).toMatch(/took longer than 1000 ms/);
});

test("choice compares what was chosen with the text or the index that is expected", async () => {
  const choices = [" Paris", " Rome"];
  expect((await score("choice", " Rome", { choices, expect: 1 })).value).toBe(1);
  expect((await score("choice", " Rome", { choices, expect: " Rome" })).value).toBe(1);
  expect(await score("choice", " Paris", { choices, expect: 1 })).toEqual({
    value: 0,
    explanation: '" Paris" is likelier than " Rome"',
  });
  expect((await score("choice", " Rome", { choices }, " Rome")).value).toBe(1);
});

test("json compares values, not spelling", async () => {
  const expected = { intent: "light.on", rooms: ["kitchen"] };
  expect((await score("json", ' {"rooms":["kitchen"], "intent":"light.on"}', { expect: expected })).value).toBe(1);
  expect((await score("json", '{"intent":"light.on"}', { expect: expected })).value).toBe(0);
  expect((await score("json", '{"a":1}', { expect: '{ "a": 1.0 }' })).value).toBe(1);
});

test("json validates the schema and names where the answer breaks it", async () => {
  const schema = {
    type: "object",
    required: ["value"],
    properties: { value: { type: "integer", maximum: 100 } },
    additionalProperties: false,
  };
  expect((await score("json", '{"value": 30}', { schema })).value).toBe(1);
  expect(await score("json", '{"value": 300}', { schema })).toEqual({
    value: 0,
    explanation: 'the answer breaks the schema: "/value" must be <= 100',
  });
  expect((await score("json", '{"value": 30}', { schema, expect: { value: 31 } })).value).toBe(0);
});

test("json calls an answer that is no JSON wrong, and says why", async () => {
  const { value, explanation } = await score("json", "Sure! {}", { expect: {} });
  expect(value).toBe(0);
  expect(explanation).toMatch(/^the answer "Sure! \{\}" is no JSON: /);
});

test("a case needs the baseline exactly where nothing says what is right", async () => {
  const needs = (fields: object): boolean => {
    const taskCase = caseOf(fields);
    return SCORERS[taskCase.scorer].needsBaseline(taskCase);
  };
  expect(needs({})).toBe(true);
  expect(needs({ expect: "x" })).toBe(false);
  expect(needs({ choices: ["a", "b"] })).toBe(true);
  expect(needs({ schema: { type: "object" } })).toBe(false);
  expect(needs({ scorer: "json" })).toBe(true);
  expect(needs({ pattern: "x" })).toBe(false);
});

test("json scores each field, and with partial their share", async () => {
  const wanted = { name: "Ada", address: { city: "Graz", zip: 8010 }, tags: ["a", "b"] };
  const answer = '```json\n{"name": "Ada", "address": {"city": "Linz"}, "tags": ["a", "b"], "age": 3}\n```';
  const parts = { name: 1, "address.city": 0, "address.zip": 0, "tags[0]": 1, "tags[1]": 1, age: 0 };
  expect(await score("json", answer, { expect: wanted })).toMatchObject({ value: 0, parts });
  expect((await score("json", answer, { expect: wanted, partial: true })).value).toBeCloseTo(3 / 6);
  expect(await score("json", "none", { expect: { a: null } })).toMatchObject({ value: 0, parts: { a: 0 } });
});

test("contains refuses what must not occur, in either case where asked", async () => {
  const fields = { expect: "Graz", without: ["Linz"], ignoreCase: true };
  expect((await score("contains", "it is graz", fields)).value).toBe(1);
  expect(await score("contains", "Graz, or LINZ", fields)).toEqual({
    value: 0,
    explanation: 'the answer has "Linz", which is wrong',
  });
  expect((await score("exact", "GRAZ", { expect: "Graz", ignoreCase: true })).value).toBe(1);
});
