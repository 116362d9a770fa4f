// Classification: the answer names one of a list of labels. How often each was taken for which other is in the confusion matrix
// (evaluate/confusion.ts).
import type { TaskCase } from "../task.js";
import { normalizeText } from "./exact.js";
import { quoted, type Score, type Scorer } from "./scorer.js";

export const label: Scorer = {
  name: "label",
  summary: "the answer names the label in `expect`, and no other of `labels`",
  check(taskCase) {
    const { labels, expect } = taskCase;
    if (labels === undefined) return 'the scorer "label" needs "labels"';
    if (labels.length < 2) return `"labels" has ${labels.length} label, at least 2 are needed`;
    if (labels.some((one) => plain(one) === "")) return '"labels" has an empty label';
    if (new Set(labels.map(plain)).size < labels.length) return '"labels" has the same label twice';
    if (expect === undefined || expectedLabel(taskCase) !== undefined) return undefined;
    return `"expect" ${quoted(JSON.stringify(expect))} is none of the labels`;
  },
  needsBaseline: (taskCase) => taskCase.expect === undefined,
  score(answer, taskCase, baselineAnswer = ""): Score {
    const found = labelIn(answer, taskCase.labels!);
    const expected = expectedLabel(taskCase) ?? labelIn(baselineAnswer, taskCase.labels!);
    if (expected === undefined) return { value: null, explanation: "the baseline's answer names no label" };
    if (found === expected) return { value: 1, label: found };
    const what =
      found === undefined ? `the answer ${quoted(answer)} names no label` : `it is labelled ${quoted(found)}`;
    return { value: 0, explanation: `${what}, not ${quoted(expected)}`, label: found ?? "" };
  },
  expected: (taskCase, baselineAnswer = "") =>
    expectedLabel(taskCase) ?? labelIn(baselineAnswer, taskCase.labels!) ?? "a label",
};

/** The case's own spelling of the label that it expects. */
export function expectedLabel({ expect, labels = [] }: TaskCase): string | undefined {
  if (typeof expect !== "string" && typeof expect !== "number" && typeof expect !== "boolean") return undefined;
  return labels.find((one) => plain(one) === plain(String(expect)));
}

/**
 * The label that an answer names: its first line is one, or exactly one occurs in it. A label within a longer one
 * ("card" in "lost card") does not count beside that.
 */
export function labelIn(answer: string, labels: readonly string[]): string | undefined {
  const firstLine = plain(normalizeText(answer).split("\n", 1)[0]!);
  const whole = labels.find((one) => plain(one) === firstLine);
  if (whole !== undefined) return whole;
  let rest = ` ${plain(answer)} `;
  const found = [...labels]
    .sort((a, b) => plain(b).length - plain(a).length)
    .filter((one) => {
      const before = rest;
      while (rest.includes(` ${plain(one)} `)) rest = rest.replace(` ${plain(one)} `, " \u0000 ");
      return rest !== before;
    });
  return found.length === 1 ? found[0] : undefined;
}

/** Lower-case words and digits with single spaces: models write `Lost_Card.`, "lost card" and **Lost card**. */
function plain(text: string): string {
  return normalizeText(text)
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}+#]+/gu, " ")
    .trim();
}
