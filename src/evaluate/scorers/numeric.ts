// The last number in the answer is the expected one, within a tolerance. The last, because models that reason write their result
// at the end.
import type { TaskCase } from "../task.js";
import { quoted, type Score, type Scorer } from "./scorer.js";

/** Digits with thousands in threes or without, a decimal point or not, an exponent or not; a sign that follows no word or digit. */
const NUMBER = /(?:(?<![\p{L}\p{N}])[-−])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?|(?<!\d)\.\d+/gu;
/** What binary fractions add by themselves. */
const ROUNDING = 1e-9;

export const numeric: Scorer = {
  name: "numeric",
  summary: "the last number in the answer is `expect`, within `tolerance` (0.5, or 1%)",
  check(taskCase) {
    if (taskCase.tolerance !== undefined && toleranceOf(taskCase, 1) === undefined) {
      return `"tolerance" ${quoted(String(taskCase.tolerance))} is neither a number from 0 on nor a share such as "1%"`;
    }
    if (taskCase.expect === undefined || expectedNumber(taskCase) !== undefined) return undefined;
    return `"expect" ${quoted(JSON.stringify(taskCase.expect))} is no number`;
  },
  needsBaseline: (taskCase) => taskCase.expect === undefined,
  score(answer, taskCase, baselineAnswer = ""): Score {
    const expected = expectedNumber(taskCase) ?? lastNumber(baselineAnswer);
    if (expected === undefined) return { value: null, explanation: "the baseline's answer has no number" };
    const found = lastNumber(answer);
    if (found === undefined) return { value: 0, explanation: `the answer ${quoted(answer)} has no number` };
    const distance = Math.abs(found - expected);
    if (distance <= toleranceOf(taskCase, expected)! + ROUNDING * Math.abs(expected)) return { value: 1 };
    return { value: 0, explanation: `the answer's last number is ${found}, not ${expected}` };
  },
  expected(taskCase, baselineAnswer = "") {
    const tolerance = taskCase.tolerance === undefined ? "" : ` ± ${taskCase.tolerance}`;
    return `${expectedNumber(taskCase) ?? lastNumber(baselineAnswer) ?? "a number"}${tolerance}`;
  },
};

/** The last number in a text. */
export function lastNumber(text: string): number | undefined {
  const found = text.match(NUMBER)?.at(-1);
  return found === undefined ? undefined : Number(found.replaceAll(",", "").replace("−", "-"));
}

/** A number, or a text that holds one, such as the "#### 18" at the end of a solution. */
function expectedNumber({ expect }: TaskCase): number | undefined {
  if (typeof expect === "number") return expect;
  return typeof expect === "string" ? lastNumber(expect) : undefined;
}

/** In the number's own unit; undefined where it can't be read. */
function toleranceOf({ tolerance = 0 }: TaskCase, expected: number): number | undefined {
  if (typeof tolerance === "number") return tolerance >= 0 ? tolerance : undefined;
  const share = /^(\d+(?:\.\d+)?)%$/.exec(tolerance.trim())?.[1];
  return share === undefined ? undefined : (Number(share) / 100) * Math.abs(expected);
}
