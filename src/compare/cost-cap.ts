// What endpoints may cost at most, reckoned before the first call and watched while calls are made.
import { PareError, UsageError } from "../errors.js";
import { MAX_TOKENS_DEFAULT } from "../evaluate/task-plan.js";
import type { Task } from "../evaluate/task.js";
import { type Tariff, costOf } from "./money.js";

const BYTES_PER_TOKEN_MIN = 2.5; // of text; most vocabularies need 3 to 5
const TOKENS_PER_MESSAGE = 16; // what a chat template adds

/** Dollars that asking all cases costs at most. */
export function costAtMost(task: Task, tariff: Tariff, maxTokens = MAX_TOKENS_DEFAULT): number {
  return task.cases.reduce((sum, { prompt = "", messages = [], maxTokens: own = maxTokens }) => {
    const bytes =
      Buffer.byteLength(prompt) + messages.reduce((all, { content }) => all + Buffer.byteLength(content), 0);
    const promptTokens = Math.ceil(bytes / BYTES_PER_TOKEN_MIN) + TOKENS_PER_MESSAGE * (messages.length + 1);
    return sum + costOf(tariff, { promptTokens, answerTokens: own, seconds: 0 });
  }, 0);
}

export class CostCap {
  readonly #cap: number | undefined;
  #spent = 0;

  constructor(cap: number | undefined) {
    this.#cap = cap;
  }

  /**
   * @param plans what is still to be asked of each endpoint, with its prices
   * @throws {UsageError} when a price is missing, or all of it may cost more than the cap
   */
  requireRoom(
    plans: readonly { name: string; tariff: Tariff | undefined; task: Task; maxTokens?: number | undefined }[],
  ): void {
    if (this.#cap === undefined) return;
    const unpriced = plans.find(({ tariff }) => tariff === undefined || "perHour" in tariff);
    if (unpriced) {
      throw new UsageError(`A cost cap needs the price of "${unpriced.name}"`, {
        hint: `Add --price ${unpriced.name}=0.15/0.60, dollars per million tokens in and out`,
      });
    }
    const most = plans.reduce((sum, { task, tariff, maxTokens }) => sum + costAtMost(task, tariff!, maxTokens), 0);
    if (most <= this.#cap) return;
    throw new UsageError(`The endpoints may cost up to $${most.toFixed(2)}, the cap is $${this.#cap.toFixed(2)}`, {
      hint: "Ask fewer cases with --cases, allow shorter answers with --max-tokens, or raise --cost-cap",
    });
  }

  /** @throws {PareError} when more was spent than may be */
  spend(dollars: number): void {
    this.#spent += dollars;
    if (this.#cap === undefined || this.#spent <= this.#cap) return;
    throw new PareError(`The cost cap of $${this.#cap.toFixed(2)} is reached`, { hint: "Raise --cost-cap" });
  }
}
