// The answer matches a regular expression; with `expect`, what was matched must also equal it. Patterns come from files
// and answers from models, so both length and time are bounded: a pattern can backtrack for ages on a short text.
import { createContext, Script } from "node:vm";
import { messageOf } from "../../errors.js";
import type { TaskCase } from "../task.js";
import { normalizeText } from "./exact.js";
import { quoted, type Scorer } from "./scorer.js";

const ANSWER_CHARACTERS_MAX = 100_000; // longer answers are not scored: no task of this scorer needs them
const MATCH_MS_MAX = 1000; // an honest pattern takes microseconds

export const regex: Scorer = {
  name: "regex",
  summary: "the answer matches `pattern`; with `expect`, its first group (or the match) equals it",
  check(taskCase) {
    const pattern = patternOf(taskCase);
    if (pattern === undefined) return 'the scorer "regex" needs a "pattern"';
    const invalid = invalidity(pattern);
    return invalid === undefined ? undefined : `the pattern ${quoted(pattern)} is invalid: ${invalid}`;
  },
  needsBaseline: () => false,
  score(answer, taskCase) {
    const pattern = patternOf(taskCase)!;
    if (answer.length > ANSWER_CHARACTERS_MAX) {
      return {
        value: null,
        explanation: `the answer has ${answer.length} characters, more than ${ANSWER_CHARACTERS_MAX}`,
      };
    }
    const found = matchWithin(pattern, answer);
    if (found === "too slow") {
      return {
        value: null,
        explanation: `the pattern ${quoted(pattern)} took longer than ${MATCH_MS_MAX} ms on the answer`,
      };
    }
    if (found === null)
      return { value: 0, explanation: `the answer ${quoted(answer)} does not match ${quoted(pattern)}` };
    if (taskCase.pattern === undefined || taskCase.expect === undefined) return { value: 1 };
    const expected = String(taskCase.expect);
    if (normalizeText(found) === normalizeText(expected)) return { value: 1 };
    return { value: 0, explanation: `the pattern found ${quoted(found)}, not ${quoted(expected)}` };
  },
  expected: (taskCase) => String(taskCase.expect ?? `/${patternOf(taskCase)}/u`),
};

/** `pattern`, or `expect` where that is the only text given. */
function patternOf(taskCase: TaskCase): string | undefined {
  return taskCase.pattern ?? (typeof taskCase.expect === "string" ? taskCase.expect : undefined);
}

/** What is wrong with a pattern, or undefined where nothing is. */
function invalidity(pattern: string): string | undefined {
  try {
    void new RegExp(pattern, "u");
    return undefined;
  } catch (error) {
    return messageOf(error).replace(/^Invalid regular expression: \/.*\/u?: /su, "");
  }
}

/** The first group that took part, else the whole match; null without a match. The clock is V8's: a match can't be stopped from outside. */
function matchWithin(pattern: string, text: string): string | null | "too slow" {
  const sandbox = createContext({ pattern, text });
  try {
    const found: unknown = MATCH.runInContext(sandbox, { timeout: MATCH_MS_MAX });
    return found === null ? null : String(found);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return "too slow";
    throw error;
  }
}

const MATCH = new Script(`
  const match = new RegExp(pattern, "u").exec(text);
  match === null ? null : (match.slice(1).find((group) => group !== undefined) ?? match[0]);
`);
