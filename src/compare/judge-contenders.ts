// Has the answers of all contenders judged, once all of them are there. An answer is graded alone, or compared with what is expected or,
// where nothing is, with what the first contender answered: the first is then a tie with itself, and 1/2 means as good as the first.
import type { AskOptions } from "../evaluate/judge/ask-judge.js";
import type { JudgeSpending } from "../evaluate/judge/judge-cost.js";
import { judgeAnswers } from "../evaluate/judge/judge-task.js";
import { SCORERS } from "../evaluate/scorers/registry.js";
import type { Task } from "../evaluate/task.js";
import type { ComparedCase } from "./answer-cases.js";
import type { Answered } from "./summarize.js";

/** Dollars that the judges of a comparison may cost at most. */
export function judgesCostAtMost(
  { cases }: Task,
  contenders: number,
  { spending, maxTokens }: { spending: JudgeSpending; maxTokens: number | undefined },
): number {
  const ofFirst = cases.filter((one) => !SCORERS[one.scorer].needsBaseline(one));
  return spending.atMost(ofFirst, maxTokens) + (contenders - 1) * spending.atMost(cases, maxTokens);
}

/** @throws {PareError} when a judge can't be asked; what it said is kept */
export async function judgeContenders(
  task: Task,
  answered: readonly Answered[],
  asking: AskOptions,
): Promise<Answered[]> {
  const reference = answered[0]!.cases.filter(isAnswered);
  const baselineAnswers = Object.fromEntries(reference.map(({ id, answer }) => [id, answer]));
  const judged: Answered[] = [];
  for (const one of answered) {
    const { perCase, judge } = await judgeAnswers(one.cases.filter(isAnswered), { task, baselineAnswers }, asking);
    const byId = new Map(perCase.map((result) => [result.id, result]));
    const cases = one.cases.map((result) => byId.get(result.id) ?? result);
    judged.push({ ...one, cases, ...(judge ? { judge } : {}) });
  }
  return judged;
}

/** A question that was refused has no answer to judge. */
function isAnswered({ milliseconds }: ComparedCase): boolean {
  return milliseconds !== null;
}
