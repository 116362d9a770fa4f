// The model finds the right one of several continuations the likeliest. What is scored here is the choice that was made;
// evaluate/choose.ts measures the likelihoods.
import type { TaskCase } from "../task.js";
import { quoted, type Scorer } from "./scorer.js";

export const choice: Scorer = {
  name: "choice",
  summary: "of the texts in `choices`, the model finds the one in `expect` (its text or index) the likeliest",
  check(taskCase) {
    if (taskCase.choices === undefined) return 'the scorer "choice" needs "choices"';
    if (taskCase.choices.length < 2) return `"choices" has ${taskCase.choices.length} text, at least 2 are needed`;
    if (taskCase.choices.includes("")) return '"choices" has an empty text';
    if (new Set(taskCase.choices).size < taskCase.choices.length) return '"choices" has the same text twice';
    if (taskCase.expect === undefined || expectedIndex(taskCase) !== undefined) return undefined;
    return `"expect" ${quoted(JSON.stringify(taskCase.expect))} is neither one of the choices nor an index from 0 to ${taskCase.choices.length - 1}`;
  },
  needsBaseline: (taskCase) => taskCase.expect === undefined,
  score(answer, taskCase, baselineAnswer) {
    const expected = choice.expected(taskCase, baselineAnswer);
    if (answer === expected) return { value: 1 };
    return { value: 0, explanation: `${quoted(answer)} is likelier than ${quoted(expected)}` };
  },
  expected(taskCase, baselineAnswer = "") {
    const index = expectedIndex(taskCase);
    return index === undefined ? baselineAnswer : taskCase.choices![index]!;
  },
};

/** A text is looked up before an index, so that choices "1", "2", "3" mean what they say. */
function expectedIndex({ choices = [], expect }: TaskCase): number | undefined {
  if (typeof expect === "string") {
    const index = choices.indexOf(expect);
    return index < 0 ? undefined : index;
  }
  if (typeof expect !== "number" || !Number.isInteger(expect)) return undefined;
  return expect >= 0 && expect < choices.length ? expect : undefined;
}
