// Another model judges the answer. That model is not at hand while answers are made, so that two models are never in memory at once: here
// the answer is only set aside, and judge/ asks when all answers are there.
import { nameOfJudge } from "../judge/judge-settings.js";
import type { TaskCase } from "../task.js";
import type { Score, Scorer } from "./scorer.js";

export const judge: Scorer = {
  name: "judge",
  summary: "the model in `judge` prefers the answer to `expect`, asked in both orders, or grades it",
  asksModel: true,
  selfScore: 0.5, // a tie
  check({ judge, scorer }) {
    if (judge === undefined) return `the scorer "${scorer}" needs "judge", with the model that judges`;
    if (judge.keyEnv === undefined || judge.endpoint !== undefined) return undefined;
    return '"judge" has "keyEnv", and no "endpoint" that takes a key';
  },
  needsBaseline: ({ judge, expect }) => judge?.grades === undefined && expect === undefined,
  score: (): Score => ({ value: null, explanation: "the judge was not asked" }),
  expected(taskCase, baselineAnswer): string {
    const { judge } = taskCase;
    return referenceOf(taskCase, baselineAnswer) ?? `grade ${judge!.grades} by ${nameOfJudge(judge!)}`;
  },
};

/** The answer that a judge sees beside the one it judges. */
export function referenceOf({ expect }: Pick<TaskCase, "expect">, baselineAnswer?: string): string | undefined {
  if (expect === undefined) return baselineAnswer;
  return typeof expect === "string" ? expect : JSON.stringify(expect);
}
