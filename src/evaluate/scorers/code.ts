// The answer is a program, and the program passes a test. Both run in a restricted child process (run-restricted.ts), and only if
// whoever runs the task allows it: a model's code is a stranger's code.
import { runRestricted } from "../run-restricted.js";
import type { TaskCase } from "../task.js";
import { quoted, type Score, type Scorer } from "./scorer.js";

export const code: Scorer = {
  name: "code",
  summary: "`setup`, the answer and `test` run as one program in `language` without an error; needs --allow-code",
  runsCode: true,
  check: ({ test }) =>
    test === undefined ? 'the scorer "code" needs "test", a program that fails if the answer is wrong' : undefined,
  needsBaseline: () => false,
  async score(answer, taskCase): Promise<Score> {
    const { setup = "", test = "", language = "javascript" } = taskCase;
    const outcome = await runRestricted(`${setup}${codeIn(answer)}\n${test}\n`, language);
    if (outcome.ok) return { value: 1 };
    return { value: 0, explanation: `the program ${outcome.problem}` };
  },
  expected: ({ test = "" }: TaskCase) => `a program that passes ${quoted(test)}`,
};

/** The first fenced block of an answer, or all of it where there is none. One that was cut off ends with the answer. */
export function codeIn(answer: string): string {
  return /```[^\n]*\n(.*?)(?:\n\s*```|$)/su.exec(answer)?.[1] ?? answer;
}
