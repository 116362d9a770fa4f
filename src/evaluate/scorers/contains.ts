// The expected texts occur in the answer, all of them, in any order.
import type { TaskCase } from "../task.js";
import { normalizeText } from "./exact.js";
import { quoted, type Scorer } from "./scorer.js";

export const contains: Scorer = {
  name: "contains",
  summary: "every text of `expect` (one, or a list) occurs in the answer",
  check(taskCase) {
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
    const text = normalizeText(answer);
    const missing = wantedTexts(taskCase, baselineAnswer).filter((wanted) => !text.includes(normalizeText(wanted)));
    if (missing.length === 0) return { value: 1 };
    return { value: 0, explanation: `the answer lacks ${missing.map((wanted) => quoted(wanted)).join(", ")}` };
  },
  expected: (taskCase, baselineAnswer) => wantedTexts(taskCase, baselineAnswer).join(", "),
};

function wantedTexts(taskCase: TaskCase, baselineAnswer = ""): string[] {
  const expect = taskCase.expect ?? baselineAnswer;
  return (Array.isArray(expect) ? expect : [expect]).map(String);
}
