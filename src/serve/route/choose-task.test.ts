// Rules on what requests say.
import { expect, test } from "vitest";

import { chooseTask, traitsOf, traitsOfPrompts } from "./choose-task.js";
import type { RouteRule } from "./route-file.js";

const MESSAGES = [
  { role: "developer", content: "You are a Clerk." },
  { role: "user", content: "Translate this" },
  { role: "assistant", content: null },
  { role: "user", content: [{ text: "Turn the lights" }, { text: "off" }] },
];

const byOf = (rules: RouteRule[], traits = traitsOf(MESSAGES)): string =>
  chooseTask({ rules, default: "other" }, traits).by;

test("traitsOf() reads the system prompt, the user's last message and the length", () => {
  expect(traitsOf(MESSAGES, { hasTools: true })).toEqual({
    system: "You are a Clerk.",
    user: "Turn the lights\noff",
    characters: 16 + 14 + 19,
    hasTools: true,
    wantsJson: false,
  });
});

test("traitsOfPrompts() reads texts, and of tokens nothing", () => {
  expect(traitsOfPrompts(["one", "two"])).toMatchObject({ user: "one\ntwo", system: "", characters: 7 });
  expect(traitsOfPrompts([[1, 2], [3]])).toMatchObject({ user: "", characters: 0 });
});

test.each<[Omit<RouteRule, "task">, boolean]>([
  [{ system: /clerk/iu }, true],
  [{ system: /lights/iu }, false],
  [{ user: /lights\noff/iu }, true],
  [{ user: /translate/iu }, false], // an earlier message
  [{ tools: false }, true],
  [{ tools: true }, false],
  [{ json: false }, true],
  [{ json: true }, false],
  [{ minCharacters: 49 }, true],
  [{ minCharacters: 50 }, false],
  [{ maxCharacters: 49 }, true],
  [{ maxCharacters: 48 }, false],
  [{ system: /clerk/iu, user: /translate/iu }, false], // all must hold
])("a rule with %o holds: %s", (rule, holds) => {
  expect(byOf([{ task: "one", ...rule }])).toBe(holds ? "rule 1" : "default");
});

test("chooseTask() takes the first rule that holds, and without one the default", () => {
  const rules = [
    { task: "long", minCharacters: 1000 },
    { task: "lights", user: /light/iu },
    { task: "any", tools: false },
  ];
  const choose = chooseTask.bind(undefined, { rules, default: "other" });
  expect(choose(traitsOf(MESSAGES))).toEqual({ task: "lights", by: "rule 2" });
  expect(choose(traitsOf([{ role: "user", content: "Hello" }]))).toEqual({ task: "any", by: "rule 3" });
  expect(choose(traitsOf([], { hasTools: true }))).toEqual({ task: "other", by: "default" });
});

test("expressions see the ends of a long text alone", () => {
  const long = (middle: string): string => `begins ${"a".repeat(1e6)}${middle}${"a".repeat(1e6)} ends`;
  const rule = (user: RegExp): RouteRule[] => [{ task: "found", user }];
  const traits = (text: string) => traitsOf([{ role: "user", content: text }]);
  expect(byOf(rule(/begins/), traits(long("")))).toBe("rule 1");
  expect(byOf(rule(/ends$/), traits(long("")))).toBe("rule 1");
  expect(byOf(rule(/needle/), traits(long("needle")))).toBe("default");
});
