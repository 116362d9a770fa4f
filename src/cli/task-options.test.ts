import { expect, test } from "vitest";

import { SCORER_NAMES } from "../evaluate/scorers/registry.js";
import { SUITES } from "../evaluate/suites/registry.js";
import { SCORER_WORDS, SUITE_WORDS, taskPath } from "./task-options.js";

test("the words that the shell completes are the scorers and suites that there are", () => {
  expect(SCORER_WORDS).toEqual(SCORER_NAMES);
  expect(SUITE_WORDS).toEqual(SUITES.map(({ name }) => name));
});

test("taskPath() takes a task or a suite, and not both", () => {
  expect(taskPath({ suite: "logic" })).toBe("suite:logic");
  expect(taskPath({ task: "cases.jsonl" })).toBe("cases.jsonl");
  expect(() => taskPath({ task: "cases.jsonl", suite: "logic" })).toThrow("Both --task and --suite");
});
