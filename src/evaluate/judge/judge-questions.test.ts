import { expect, test } from "vitest";

import { caseOf } from "../../../test/score-case.js";
import { gradeIn, gradeQuestion, pairQuestion, preferenceIn } from "./judge-questions.js";
import { orderAgreement, pairScore } from "./order-agreement.js";

test.each([
  ["A is shorter and right.\n\nVerdict: A", "first"],
  ["**Verdict: B**", "second"],
  ["verdict: [[tie]].\n", "tie"],
  ["Verdict: A\nOn second reading I keep to it.\nVerdict: A", "first"],
  ["B", "second"],
  ["**Tie**", "tie"],
])("preferenceIn(%j) is %s", (text, preference) => {
  expect(preferenceIn(text)).toBe(preference);
});

test.each([
  "",
  "Lily went to the park.",
  "Verdict: A\nVerdict: B",
  "Verdict: C",
  "Verdict: A or B",
  "Verdict: Alice",
  "A good answer",
  "I was asked to write Verdict: A",
])("preferenceIn(%j) is no verdict", (text) => {
  expect(preferenceIn(text)).toBeUndefined();
});

test.each<[string, number | undefined]>([
  ["It leaves out the date.\nGrade: 4", 4],
  ["**Grade:** 5/5", 5],
  ["Grade: 4 out of 5, as it is short", 4],
  ["3", 3],
  ["Grade: 2 or 3", undefined],
  ["Grade: 1 to 5", undefined],
  ["Grade: 6", undefined],
  ["Grade: 0", undefined],
  ["Grade: -3", undefined],
  ["Grade: 3.5", undefined],
  ["Grade: 2\nGrade: 4", undefined],
  ["Grade: good", undefined],
  ["", undefined],
])("gradeIn(%j, 5) is %s", (text, grade) => {
  expect(gradeIn(text, 5)).toBe(grade);
});

test("pairQuestion() and gradeQuestion() show the request, the rubric and the answers, in the order given", () => {
  const judge = { model: "m.gguf", rubric: "Be brief", grades: 7 };
  const taskCase = caseOf({ prompt: "Name a colour", expect: "red", judge });
  const pair = pairQuestion(taskCase, "one", "two")[0]!.content;
  expect(pair).toMatch(/Be brief[^]*Name a colour[^]*ANSWER A\]\none\n[^]*ANSWER B\]\ntwo\n/u);
  const grade = gradeQuestion(taskCase, "blue", "red")[0]!.content;
  expect(grade).toMatch(/Be brief[^]*Name a colour[^]*RIGHT ANSWER\]\nred\n[^]*TO GRADE\]\nblue\n[^]*"Grade: 7"/u);
  expect(gradeQuestion(taskCase, "blue", undefined)[0]!.content).not.toContain("RIGHT ANSWER");
});

test("pairScore() takes a win or a loss only from both orders", () => {
  expect(pairScore(["first", "second"])).toEqual({ value: 1, agrees: true });
  expect(pairScore(["second", "first"])).toEqual({ value: 0, agrees: true });
  expect(pairScore(["tie", "tie"])).toEqual({ value: 0.5, agrees: true });
  expect(pairScore(["first", "first"])).toEqual({ value: 0.5, agrees: false });
  expect(pairScore(["first", "tie"])).toEqual({ value: 0.5, agrees: false });
});

test("orderAgreement() counts agreement, kappa and the share of first places", () => {
  const win = ["first", "second"] as const;
  const loss = ["second", "first"] as const;
  const placed = ["first", "first"] as const;
  expect(orderAgreement([])).toBeUndefined();
  expect(orderAgreement([win, win])).toEqual({ pairs: 2, agreement: 1, kappa: null, firstShare: 0.5 });
  expect(orderAgreement([win, loss])).toEqual({ pairs: 2, agreement: 1, kappa: 1, firstShare: 0.5 });
  expect(orderAgreement([placed, placed])).toEqual({ pairs: 2, agreement: 0, kappa: 0, firstShare: 1 });
  // By hand: first order 3 wins of 4, second 2 of 4: by chance 3/4 · 2/4 + 1/4 · 2/4 = 1/2.
  expect(orderAgreement([win, win, loss, placed])).toEqual({
    pairs: 4,
    agreement: 0.75,
    kappa: 0.5,
    firstShare: 5 / 8,
  });
  expect(orderAgreement([["tie", "tie"]])).toEqual({ pairs: 1, agreement: 1, kappa: null, firstShare: null });
});
