import { expect, test } from "vitest";

import { parseTask } from "./task.js";

const ask = (prompt: string, expected: string, id?: string): string =>
  JSON.stringify({ ...(id ? { id } : {}), prompt, expect: expected });
const faulty = [
  ask("2 + 2 =", "4", "a"),
  ask("2 + 3 =", "5", "b"),
  ask("2 + 2 = ", "5", "c"),
  ask("2 + 4 =", "6", "b"),
  ask("2 + 3 =", "5", "d"),
].join("\n");

test("parseTask() refuses an id that is taken, and names cases that contradict each other", () => {
  expect(() => parseTask(faulty, { path: "t.jsonl" })).toThrow(
    'Cannot read task "t.jsonl": line 4: the id "b" is taken by line 2',
  );
  const unique = faulty.split("\n").toSpliced(3, 1).join("\n");
  const { cases, excluded, contradictions } = parseTask(unique, { path: "t.jsonl" });
  expect({ cases: cases.length, excluded }).toEqual({ cases: 4, excluded: [] });
  expect(contradictions).toEqual([
    { id: "a", line: 1, reason: "it asks the same as line 3 and expects another answer" },
    { id: "c", line: 3, reason: "it asks the same as line 1 and expects another answer" },
  ]);
});

test("parseTask() with excludeFaulty leaves out both sides of a contradiction and the later of two ids, and says so", () => {
  const { cases, excluded } = parseTask(faulty, { path: "t.jsonl", excludeFaulty: true });
  expect(cases.map(({ id }) => id)).toEqual(["b", "d"]); // the same question with the same answer is no fault
  expect(excluded!.map(({ line }) => line)).toEqual([1, 3, 4]);
});

test("parseTask() takes a question with other choices, or without an answer, for no contradiction", () => {
  const text = [
    { prompt: "Which?", choices: ["a", "b"], expect: "a" },
    { prompt: "Which?", choices: ["a", "c"], expect: "c" },
    { prompt: "Which?", scorer: "exact" },
  ];
  const task = parseTask(text.map((one) => JSON.stringify(one)).join("\n"), { path: "t.jsonl" });
  expect(task.contradictions).toEqual([]);
});

test("parseTask() counts the faults that it does not name", () => {
  const many = Array.from({ length: 13 }, (_, index) => ask(`${index}?`, "yes", "same")).join("\n");
  expect(() => parseTask(many, { path: "t.jsonl" })).toThrow(/; and 9 more$/);
});
