// What judges at endpoints cost. The answers that they will read are not there yet when the cost is capped, so each is taken to be as long
// as it may be.
import type { EndpointPrices } from "../../cost/money.js";
import { UsageError } from "../../errors.js";
import { answerBytesAtMost, type CostCap, promptTokensAtMost } from "../endpoint/cost-cap.js";
import { referenceOf } from "../scorers/judge.js";
import { MAX_TOKENS_DEFAULT } from "../task-plan.js";
import type { TaskCase } from "../task.js";
import { JUDGE_TOKENS_DEFAULT } from "./ask-judge.js";
import { gradeQuestion, pairQuestion } from "./judge-questions.js";

/** Spends on judges under a cap. */
export class JudgeSpending {
  readonly #cap: CostCap;
  readonly #prices: EndpointPrices | undefined;

  constructor(cap: CostCap, prices: EndpointPrices | undefined) {
    this.#cap = cap;
    this.#prices = prices;
  }

  /**
   * A cap on what costs nothing is a misunderstanding.
   *
   * @throws {UsageError} when there is a cap or a price, and none of the cases is judged at an endpoint
   */
  requireUse({ path, cases }: { path: string; cases: readonly TaskCase[] }): void {
    if (this.#cap.dollars === undefined && this.#prices === undefined) return;
    if (cases.some(isPaidFor)) return;
    throw new UsageError(`Nothing in "${path}" is scored by a judge at an endpoint, and what one may cost is given`, {
      hint: "Leave out --cost-cap and --judge-price",
    });
  }

  /**
   * The same of a price alone, where a cap is for others, too.
   *
   * @throws {UsageError} when there is a price, and none of the cases is judged at an endpoint
   */
  requirePriceUse({ path, cases }: { path: string; cases: readonly TaskCase[] }): void {
    if (this.#prices === undefined || cases.some(isPaidFor)) return;
    throw new UsageError(`Nothing in "${path}" is scored by a judge at an endpoint, and the price of one is given`, {
      hint: "Leave out --judge-price",
    });
  }

  /**
   * Dollars that judging one answer to each case costs at most; 0 without a cap.
   *
   * @param maxTokens tokens of an answer at most, where a case doesn't say
   * @throws {UsageError} when there is a cap and no price
   */
  atMost(cases: readonly TaskCase[], maxTokens = MAX_TOKENS_DEFAULT): number {
    if (this.#cap.dollars === undefined) return 0;
    return cases.reduce((sum, one) => sum + this.caseAtMost(one, maxTokens), 0);
  }

  /** The same for one case. */
  caseAtMost(taskCase: TaskCase, maxTokens = MAX_TOKENS_DEFAULT): number {
    if (this.#cap.dollars === undefined || !isPaidFor(taskCase)) return 0;
    const judge = taskCase.judge!;
    const answerBytes = answerBytesAtMost(taskCase.maxTokens ?? maxTokens);
    const reference = referenceOf(taskCase);
    const isGrade = judge.grades !== undefined;
    const [question] = isGrade ? gradeQuestion(taskCase, "", reference) : pairQuestion(taskCase, "", reference ?? "");
    const isReferenceAnswered = !isGrade && reference === undefined;
    const bytes = Buffer.byteLength(question!.content) + answerBytes * (isReferenceAnswered ? 2 : 1);
    const use = { promptTokens: promptTokensAtMost(bytes, 1), answerTokens: judge.maxTokens ?? JUDGE_TOKENS_DEFAULT };
    return (isGrade ? 1 : 2) * this.#dollarsOf(use);
  }

  /** @throws {UsageError} when that is more than the cap leaves */
  requireRoom(dollars: number): void {
    this.#cap.requireRoom(dollars);
  }

  /** @throws {PareError} when the cap is reached */
  spend(use: { promptTokens: number; answerTokens: number }): void {
    if (this.#cap.dollars !== undefined) this.#cap.spend(this.#dollarsOf(use));
  }

  #dollarsOf({ promptTokens, answerTokens }: { promptTokens: number; answerTokens: number }): number {
    if (this.#prices === undefined) {
      throw new UsageError("A cost cap needs the price of the judge", {
        hint: "Add --judge-price 2.50/10, dollars per million tokens in and out",
      });
    }
    return (this.#prices.promptPerMillion * promptTokens + this.#prices.answerPerMillion * answerTokens) / 1e6;
  }
}

function isPaidFor({ scorer, judge }: TaskCase): boolean {
  return scorer === "judge" && judge?.endpoint !== undefined;
}
