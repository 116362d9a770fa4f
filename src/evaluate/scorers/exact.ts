// The answer is the expected text, and nothing else.
import type { TaskCase } from "../task.js";
import { quoted, type Score, type Scorer } from "./scorer.js";

/**
 * The form in which texts are compared: Unicode NFC, line ends as `\n`, white space at both ends removed. Case,
 * punctuation and inner white space count.
 */
export function normalizeText(text: string): string {
  return text.normalize("NFC").replaceAll("\r\n", "\n").trim();
}

/** The same, in one case of letters where the task case asks for that. */
export function comparableText(text: string, { ignoreCase }: Pick<TaskCase, "ignoreCase">): string {
  const normal = normalizeText(text);
  return ignoreCase ? normal.toLowerCase() : normal;
}

export const exact: Scorer = {
  name: "exact",
  summary: "the answer equals `expect`, apart from white space at its ends and, with `ignoreCase`, case",
  check(taskCase) {
    if (taskCase.expect === undefined || isScalar(taskCase.expect)) return undefined;
    return '"expect" must be a text, a number or a boolean';
  },
  needsBaseline: (taskCase) => taskCase.expect === undefined,
  score(answer, taskCase, baselineAnswer): Score {
    const expected = exact.expected(taskCase, baselineAnswer);
    if (comparableText(answer, taskCase) === comparableText(expected, taskCase)) return { value: 1 };
    return { value: 0, explanation: `the answer ${quoted(answer)} is not ${quoted(expected)}` };
  },
  expected: (taskCase: TaskCase, baselineAnswer = "") => String(taskCase.expect ?? baselineAnswer),
};

function isScalar(value: unknown): boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}
