// The suites are checked from outside: their texts are read again, as a person would read them, and what is right is worked out anew.
import { describe, expect, test } from "vitest";

import { SCORERS } from "../scorers/registry.js";
import type { TaskCase } from "../task.js";
import { solveArithmetic, solveLogic } from "../../../test/solve-puzzles.js";
import { SUITES } from "./registry.js";
import { isSuitePath, suiteTask, suiteText } from "./suite-task.js";

const NAMES = SUITES.map(({ name }) => name);
const COUNT = 240;
const casesOf = (name: string, seed = 5): TaskCase[] => suiteTask(`suite:${name}?seed=${seed}&cases=${COUNT}`).cases;
const textOf = ({ messages }: TaskCase): string => messages![0]!.content;
/** What is asked, without the instruction. */
const bodyOf = (taskCase: TaskCase): string => textOf(taskCase).split("\n\n").slice(1).join("\n\n");
const scoreOf = async (taskCase: TaskCase, answer: string) =>
  (await SCORERS[taskCase.scorer].score(answer, taskCase)).value;

describe.each(NAMES)("suite:%s", (name) => {
  test("is the same for the same seed and another for another", () => {
    expect(suiteText(`suite:${name}?seed=2`)).toBe(suiteText(`suite:${name}?seed=2`));
    expect(suiteText(`suite:${name}?seed=3`)).not.toBe(suiteText(`suite:${name}?seed=2`));
    expect(suiteText(`suite:${name}`)).toBe(suiteText(`suite:${name}?seed=1`));
  });

  test("begins with the same cases when more are asked for", () => {
    const [few, many] = [suiteText(`suite:${name}?cases=30`), suiteText(`suite:${name}?cases=60`)];
    expect(many.startsWith(few)).toBe(true);
  });

  test("asks nothing twice, and each case can be scored without a baseline", () => {
    const cases = casesOf(name);
    expect(cases).toHaveLength(COUNT);
    if (name !== "robustness") expect(new Set(cases.map(bodyOf)).size).toBe(COUNT);
    expect(new Set(cases.map(textOf)).size).toBeGreaterThan(0.98 * COUNT); // an order of four may come out as it was
    expect(cases.filter((one) => SCORERS[one.scorer].needsBaseline(one))).toEqual([]);
  });

  test("holds no gap that was left unfilled", () => {
    for (const taskCase of casesOf(name))
      expect(textOf(taskCase)).not.toMatch(/undefined|NaN|NAME|\[object|\$\{| {2}|(?<!\.)\.\.(?!\.)/);
  });
});

test("arithmetic: the story comes to the number, told again sentence by sentence", () => {
  for (const taskCase of casesOf("arithmetic"))
    expect(solveArithmetic(bodyOf(taskCase)), textOf(taskCase)).toBe(taskCase.expect);
});

test("arithmetic: each depth has as many steps, evenly", () => {
  const cases = casesOf("arithmetic");
  for (let depth = 1; depth <= 6; depth++) {
    const ofDepth = cases.filter(({ tags }) => tags.includes(`depth-${depth}`));
    expect(ofDepth.length).toBeGreaterThanOrEqual(Math.floor(COUNT / 6));
    for (const one of ofDepth) expect(bodyOf(one).match(/[.?](?= |$)/g)).toHaveLength(depth + 2);
  }
});

test("logic: exactly one arrangement fits what is said, and it gives the answer", () => {
  for (const taskCase of casesOf("logic"))
    expect(solveLogic(bodyOf(taskCase)), textOf(taskCase)).toEqual([taskCase.expect]);
});

test("grounded: the answer is in the text where it should be, of the place that was asked, and nowhere else", async () => {
  for (const taskCase of casesOf("grounded")) {
    const [story, question] = bodyOf(taskCase).split("\n\nQuestion: ") as [string, string];
    const place = /[Tt]he \w+ (?:museum|library|bakery|theater|harbor office|observatory|tea house|cinema)/.exec(
      question,
    )![0];
    const about = story.split(/(?<=\.) /).filter((sentence) => sentence.toLowerCase().includes(place.toLowerCase()));
    const [wrong] = taskCase.without!.slice(-1);
    expect(about.join(" ")).not.toContain(wrong);
    expect(story).toContain(wrong);
    if (taskCase.tags.includes("in-the-text")) {
      expect(about.filter((sentence) => sentence.includes(String(taskCase.expect)))).toHaveLength(1);
      expect(await scoreOf(taskCase, `It is ${String(taskCase.expect)}.`)).toBe(1);
      expect(await scoreOf(taskCase, "Not in the text")).toBe(0);
    } else {
      expect(await scoreOf(taskCase, "That is not in the text.")).toBe(1);
    }
    expect(await scoreOf(taskCase, String(wrong))).toBe(0);
  }
});

test("extraction: every value stands in the text, follows the schema, and null stands for what does not", async () => {
  for (const taskCase of casesOf("extraction")) {
    expect(await scoreOf(taskCase, JSON.stringify(taskCase.expect))).toBe(1);
    const text = textOf(taskCase).split("\n\n").at(-1)!;
    const facts = taskCase.expect as Record<string, string | number | null>;
    for (const name of ["customer", "item", "city", "organizer", "room", "contact"]) {
      if (typeof facts[name] === "string") expect(text).toContain(facts[name]);
    }
    for (const name of ["quantity", "rooms", "area", "rent"])
      if (name in facts) expect(text).toMatch(new RegExp(`\\b${facts[name]}\\b`));
    if (facts["room"] === null) expect(text).not.toMatch(/room \w+\./);
    if (facts["deadline"] === null) expect(text).not.toMatch(/20\d\d/);
    if (facts["floor"] === null) expect(text).not.toContain("floor");
    if (typeof facts["date"] === "string") expect(dateIn(text)).toBe(facts["date"]);
    if (typeof facts["deadline"] === "string") expect(dateIn(text)).toBe(facts["deadline"]);
    if (typeof facts["start"] === "string") expect(timeIn(text)).toBe(facts["start"]);
  }
});

/** The only date in a text, whichever way it is written. */
function dateIn(text: string): string {
  const [found] = /\d{4}-\d\d-\d\d|\d{1,2} [A-Z][a-z]+ \d{4}|[A-Z][a-z]+ \d{1,2}, \d{4}/.exec(text)!;
  return new Date(`${found} UTC`).toISOString().slice(0, 10);
}

function timeIn(text: string): string {
  const [, hour, minute, half] = /\b(\d{1,2}):(\d\d)( [AP]M)?/.exec(text)!;
  const hours = half === undefined ? Number(hour) : (Number(hour) % 12) + (half === " PM" ? 12 : 0);
  return `${String(hours).padStart(2, "0")}:${minute}`;
}

test("classification: all queues, evenly, and only the right name is right", async () => {
  const cases = casesOf("classification");
  const counts = cases[0]!.labels!.map((label) => cases.filter(({ expect }) => expect === label).length);
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  for (const taskCase of cases) {
    const right = await Promise.all(taskCase.labels!.map((label) => scoreOf(taskCase, label)));
    expect(right.filter((value) => value === 1)).toHaveLength(1);
  }
});

test("instructions: a text that follows all of them exists, and one that follows none does not pass", async () => {
  for (const taskCase of casesOf("instructions")) {
    expect(await scoreOf(taskCase, followerOf(taskCase)), textOf(taskCase)).toBe(1);
    expect(await scoreOf(taskCase, breakerOf(taskCase))).toBe(0);
  }
});

/** An answer that breaks each kind of constraint, as far as one text can. */
function breakerOf({ constraints = [] }: TaskCase): string {
  const unwanted = constraints.map((one) => (one.kind === "avoids" && "text" in one ? one.text : "")).join(" ");
  const isShort = constraints.some((one) => "min" in one && one.kind === "words");
  return `Xa ${unwanted}${isShort ? "" : " Xb".repeat(90)}`;
}

/** Builds an answer from the constraints: sentences of plain words, shaped as they want it. */
function followerOf({ constraints = [] }: TaskCase): string {
  const of = (kind: string) =>
    constraints.find((one) => one.kind === kind) as { text?: string; min?: number; max?: number } | undefined;
  const wanted = of("contains") ? ` ${of("contains")!.text}`.repeat(of("contains")!.min ?? 1) : "";
  const end = of("ends")?.text ?? "";
  const words = "plain words of one kind".repeat(1);
  let lines = [`It has${wanted} and ${words}.`];
  if (of("bullets"))
    lines = Array.from({ length: of("bullets")!.min! }, (_, index) => `- ${index === 0 ? lines[0] : words}`);
  else if (of("sentences")) {
    const missing = of("sentences")!.min! - 1 - (end === "" ? 0 : 1);
    lines.push(...Array.from({ length: missing }, () => "So it is."));
  } else if (of("words")?.min) lines.push("and so on ".repeat(20) + "now.");
  const text = lines.join(of("bullets") ? "\n" : " ") + (end === "" ? "" : ` ${end}`);
  if (of("upper")) return text.toUpperCase();
  return of("lower") ? text.toLowerCase() : text;
}

test("tool-calls: the right tool is offered, with arguments of the request; none where it is not", async () => {
  for (const taskCase of casesOf("tool-calls")) {
    const { name, arguments: given } = taskCase.expect as { name: string; arguments: Record<string, unknown> };
    const offered = [...textOf(taskCase).matchAll(/^- (\w+)\(([^)]*)\)/gm)].map(([, tool, parameters]) => ({
      tool,
      parameters,
    }));
    expect(offered).toHaveLength(4);
    const request = textOf(taskCase).split("Request: ").at(-1)!;
    if (name === "none") expect(given).toEqual({});
    else {
      const parameters = offered
        .find(({ tool }) => tool === name)!
        .parameters!.split(", ")
        .map((one) => one.split(": ")[0]);
      expect(Object.keys(given)).toEqual(parameters);
      for (const value of Object.values(given)) expect(request).toContain(String(value));
    }
    expect(await scoreOf(taskCase, JSON.stringify(taskCase.expect))).toBe(1);
  }
});

test("robustness: variants keep the answer, its words and the numbers, and differ from the original", () => {
  for (const group of groupsOf(casesOf("robustness")).slice(0, -1)) {
    const [original] = group;
    for (const variant of group.slice(1)) {
      expect(variant.expect).toEqual(original!.expect);
      expect(textOf(variant), variant.id).not.toBe(textOf(original!));
      const numbers = (one: TaskCase) => bodyOf(one).match(/\d+/g);
      expect(numbers(variant)).toEqual(numbers(original!));
      for (const word of answerWords(variant))
        if (bodyOf(original!).includes(word)) expect(bodyOf(variant)).toContain(word);
    }
  }
});

/** What an answer is made of. */
function answerWords({ expect, scorer }: TaskCase): string[] {
  if (scorer === "contains") return [String(expect)];
  return scorer === "json" ? Object.values((expect as { arguments: object }).arguments).map(String) : [];
}

function groupsOf(cases: readonly TaskCase[]): TaskCase[][] {
  const groups = new Map<string, TaskCase[]>();
  for (const one of cases) groups.set(one.id.slice(0, 15), [...(groups.get(one.id.slice(0, 15)) ?? []), one]);
  return [...groups.values()];
}

test("suite:NAME?plain has prompts in place of messages", () => {
  const [first] = suiteTask("suite:logic?plain").cases;
  expect(first!.messages).toBeUndefined();
  expect(first!.prompt).toMatch(/\nAnswer:$/);
});

test.each([
  ["suite:arithmatic", /Unknown suite "arithmatic": there are extraction/],
  ["suite:logic?sead=1", /Suites take seed, cases and plain, not "sead"/],
  ["suite:logic?seed=-1", /"seed" of a suite is a whole number/],
  ["suite:logic?cases=0", /"cases" of a suite is a whole number from 1/],
])("%s is refused", (path, message) => {
  expect(isSuitePath(path)).toBe(true);
  expect(() => suiteTask(path)).toThrow(message);
});
