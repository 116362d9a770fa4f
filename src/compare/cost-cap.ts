// What the contenders of a comparison may cost at most.
import { UsageError } from "../errors.js";
import { promptTokensAtMost } from "../evaluate/endpoint/cost-cap.js";
import { MAX_TOKENS_DEFAULT } from "../evaluate/task-plan.js";
import type { Task } from "../evaluate/task.js";
import { type Tariff, costOf } from "./money.js";

/** What is still to be asked of an endpoint, with its prices. */
export interface AskingPlan {
  name: string;
  tariff: Tariff | undefined;
  task: Task;
  maxTokens?: number | undefined;
}

/**
 * Dollars that asking all of it costs at most.
 *
 * @throws {UsageError} when a price is missing
 */
export function plansCostAtMost(plans: readonly AskingPlan[]): number {
  const unpriced = plans.find(({ tariff }) => tariff === undefined || "perHour" in tariff);
  if (unpriced) {
    throw new UsageError(`A cost cap needs the price of "${unpriced.name}"`, {
      hint: `Add --price ${unpriced.name}=0.15/0.60, dollars per million tokens in and out`,
    });
  }
  return plans.reduce((sum, { task, tariff, maxTokens }) => sum + costAtMost(task, tariff!, maxTokens), 0);
}

/** Dollars that asking all cases costs at most. */
function costAtMost(task: Task, tariff: Tariff, maxTokens = MAX_TOKENS_DEFAULT): number {
  return task.cases.reduce((sum, { prompt = "", messages = [], maxTokens: own = maxTokens }) => {
    const bytes =
      Buffer.byteLength(prompt) + messages.reduce((all, { content }) => all + Buffer.byteLength(content), 0);
    const promptTokens = promptTokensAtMost(bytes, messages.length);
    return sum + costOf(tariff, { promptTokens, answerTokens: own, seconds: 0 });
  }, 0);
}
