// The expected texts occur in the answer, all of them, in any order, and those that would be wrong do not.
import type { TaskCase } from "../task.js";
import { comparableText, normalizeText } from "./exact.js";
import { quoted, type Scorer } from "./scorer.js";

export const contains: Scorer = {
  name: "contains",
  summary: "every text of `expect` (one, or a list) occurs in the answer, and none of `without`",
  check(taskCase) {
    if (taskCase.without?.some((text) => normalizeText(text) === "")) return '"without" has an empty text';
    if (taskCase.expect === undefined) return undefined;
    const wanted = Array.isArray(taskCase.expect) ? taskCase.expect : [taskCase.expect];
    if (wanted.length === 0) return '"expect" is an empty list, which every answer would match';
    for (const text of wanted) {
      if (typeof text !== "string" && typeof text !== "number") return '"expect" must be a text or a list of texts';
      if (normalizeText(String(text)) === "") return '"expect" has an empty text, which every answer would match';
    }
    return undefined;
  },
  needsBaseline: (taskCase) => taskCase.expect === undefined,
  score(answer, taskCase, baselineAnswer) {
    const text = comparableText(answer, taskCase);
    const isIn = (wanted: string): boolean => text.includes(comparableText(wanted, taskCase));
    const missing = wantedTexts(taskCase, baselineAnswer).filter((wanted) => !isIn(wanted));
    const unwanted = taskCase.without?.filter(isIn) ?? [];
    if (missing.length === 0 && unwanted.length === 0) return { value: 1 };
    const list = (texts: readonly string[]): string => texts.map((one) => quoted(one)).join(", ");
    const what = missing.length > 0 ? `lacks ${list(missing)}` : `has ${list(unwanted)}, which is wrong`;
    return { value: 0, explanation: `the answer ${what}` };
  },
  expected: (taskCase, baselineAnswer) => wantedTexts(taskCase, baselineAnswer).join(", "),
};

function wantedTexts(taskCase: TaskCase, baselineAnswer = ""): string[] {
  const expect = taskCase.expect ?? baselineAnswer;
  return (Array.isArray(expect) ? expect : [expect]).map(String);
}
