// What a certificate says of the judges that scored answers: who they are, by what they judge, and how steady they were. Whoever reads a
// verdict that rests on a model's opinion should see that it does.
import { basename } from "node:path";

import { rubricsOf } from "../evaluate/judge/judge-cases.js";
import type { JudgeSpending } from "../evaluate/judge/judge-cost.js";
import { isJudgeKey, type JudgeAnswer } from "../evaluate/judge/judge-memory.js";
import { RUBRIC_DEFAULT } from "../evaluate/judge/judge-questions.js";
import { type JudgeSettings, nameOfJudge } from "../evaluate/judge/judge-settings.js";
import { orderAgreement } from "../evaluate/judge/order-agreement.js";
import type { TaskCase } from "../evaluate/task.js";
import { sha256 } from "../support/files.js";
import { optional } from "../support/optional.js";
import type { Certificate } from "./certificate.js";
import type { EvidencePlan } from "./evidence-plan.js";
import type { Journal } from "./journal.js";
import type { Measurement } from "./yardstick.js";
import type { Parts } from "./split.js";
import { percent } from "./wording.js";

/** What judges at endpoints said, a question a line: with it, a fit can be run again without asking them. */
export const JUDGE_FILE = "judge.jsonl";

export type JudgeRecord = NonNullable<Certificate["judge"]>;

/** @returns undefined where no judge scored */
export function judgeRecord(
  judges: readonly JudgeSettings[],
  trials: readonly { measurement: Measurement }[],
): JudgeRecord | undefined {
  if (judges.length === 0) return undefined;
  const judged = trials.flatMap(({ measurement }) => measurement.judged ?? []);
  return {
    judges: judges.map((judge) => ({
      model: nameOfJudge(judge),
      kind: judge.endpoint === undefined ? "file" : "endpoint",
      rubricSha256: sha256(judge.rubric ?? RUBRIC_DEFAULT),
      ...optional("grades", judge.grades),
    })),
    cases: judged.length,
    unclear: judged.filter(({ isClear }) => !isClear).length,
    ...optional("order", orderAgreement(judged.flatMap(({ orders }) => (orders ? [orders] : [])))),
  };
}

/** The same in one sentence. */
export function judgeNote({ judges, cases, unclear, order }: JudgeRecord): string {
  const names = [...new Set(judges.map(({ model, kind }) => (kind === "file" ? basename(model) : model)))].join(", ");
  const steady = order
    ? `, whose verdicts agree on ${percent(order.agreement)} of ${order.pairs} pairs when the order is swapped`
    : "";
  const silent = unclear > 0 ? `; ${unclear} without a verdict count as not done` : "";
  return `${cases} answers were scored by a model, ${names}${steady}${silent}`;
}

/**
 * Dollars that the judges of a fit cost at most: each trial looks at other cases, so each is taken to look at the dearest.
 *
 * @throws {UsageError} when there is a cap and no price
 */
export function judgesCostAtMost(
  { selection, confirmation }: Pick<Parts<TaskCase[]>, "selection" | "confirmation">,
  plan: Pick<EvidencePlan, "selections" | "mixTries" | "selectionSize" | "confirmations" | "confirmationSize">,
  spending: JudgeSpending,
): number {
  if (rubricsOf([...selection, ...confirmation]).length === 0) return 0;
  const dearest = (cases: readonly TaskCase[], count: number): number =>
    cases
      .map((one) => spending.caseAtMost(one))
      .sort((a, b) => b - a)
      .slice(0, count)
      .reduce((sum, one) => sum + one, 0);
  return (
    spending.atMost([...selection, ...confirmation]) + // of the baseline, each case once
    (plan.selections + plan.mixTries) * dearest(selection, plan.selectionSize) +
    plan.confirmations * dearest(confirmation, plan.confirmationSize)
  );
}

/** What is written to {@link JUDGE_FILE}; undefined where no endpoint judged. */
export function renderHeard(judges: readonly JudgeSettings[], journal: Journal): string | undefined {
  if (!judges.some(({ endpoint }) => endpoint !== undefined)) return undefined;
  const lines = [...journal.results<JudgeAnswer>(isJudgeKey)].map(([question, answer]) =>
    JSON.stringify({ question, ...answer }),
  );
  return lines
    .sort()
    .map((line) => `${line}\n`)
    .join("");
}

/** Reads that again; what is no line of it is none. */
export function parseHeard(text: string): Map<string, JudgeAnswer> {
  const lines = text.split("\n").slice(0, -1);
  return new Map(
    lines.map((line) => {
      const { question, ...answer } = JSON.parse(line) as { question: string } & JudgeAnswer;
      return [question, answer as JudgeAnswer];
    }),
  );
}
