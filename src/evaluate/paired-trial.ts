// One trial: a candidate against the baseline on the cases of a task, drawn a batch at a time until the answer is clear. It knows
// nothing of models: who runs the cases is handed in. The same seed and the same scores draw the same cases.
import type { Random } from "../support/random.js";
import { CaseOrder } from "./case-order.js";
import { type Contention, type OrderedCase, ratesOf } from "./contention.js";
import { type PairedDraw, PairedSequence, type SequenceOptions } from "./paired-sequence.js";

/** A draw with the case that was drawn. */
export interface CaseDraw extends PairedDraw {
  id: string;
}

export interface TrialQuestion<Case extends OrderedCase> extends SequenceOptions {
  /** Cases to draw from; all those that the claim is about, unless that is about cases like them. */
  cases: readonly Case[];
  /** Draws at most. */
  drawsMax: number;
  /** What earlier trials have shown. Cases are drawn by it, unless the claim is about more than the cases at hand. */
  contention: Contention;
  random: Random;
}

/** Runs a batch through both models. @returns scores in the batch's order */
export type RunBatch<Case> = (
  batch: readonly Case[],
  number: number,
) => Promise<{ baseline: number; candidate: number }[]>;

/** Cases of the first batch; each later one is a quarter of what was drawn. */
const BATCH_MIN = 32;
const BATCH_SHARE = 0.25;

/** Draws, runs and bets until the bar is cleared or missed, or the draws are used up. */
export async function runPairedTrial<Case extends OrderedCase>(
  question: TrialQuestion<Case>,
  runBatch: RunBatch<Case>,
): Promise<{ sequence: PairedSequence; draws: CaseDraw[] }> {
  const { keep, size, drawsMax, contention, random } = question;
  const order = new CaseOrder(question.cases, random);
  const sequence = new PairedSequence(question);
  const draws: CaseDraw[] = [];
  const taken: Case[] = [];
  const most = Math.min(drawsMax, question.cases.length);
  for (let batch = 0; draws.length < most && sequence.standing === "undecided"; batch++) {
    // Unequal chances would say nothing of cases that are not at hand.
    if (size !== Infinity) order.weigh(contention.with(taken, draws), ratesOf(draws), keep);
    const count = Math.min(most - draws.length, Math.max(BATCH_MIN, Math.ceil(draws.length * BATCH_SHARE)));
    const drawn = Array.from({ length: count }, () => order.draw()!);
    const cases = drawn.map(({ taskCase }) => taskCase);
    for (const [index, scores] of (await runBatch(cases, batch)).entries()) {
      const { taskCase, probability, least } = drawn[index]!;
      const draw = { id: taskCase.id, probability, least, ...scores };
      draws.push(draw);
      sequence.add(draw);
    }
    taken.push(...cases);
  }
  return { sequence, draws };
}
