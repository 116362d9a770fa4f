// Whether a runtime says what Pare's engine says: the same likeliest token at each position of a text. Two tokens that are
// nearly as likely may change places when sums are rounded in another order, so such positions are counted apart.
import type { Reference } from "./reference.js";

/** Logits this close are a tie: one token is then at most 10 % likelier than the other. */
export const NEAR_TIE = 0.1;
const AGREEMENT_WANTED = 0.99;
/** Of the positions: where more are near ties, the model prefers nothing, and agreement says nothing. */
const COMPARABLE_WANTED = 0.1;

/** How an export was compared with the model it came from. */
export interface Parity {
  status: "passed" | "failed" | "skipped";
  /** What ran the export, or why nothing did. */
  detail: string;
  /** Positions compared. */
  positions: number;
  /** Positions with the same likeliest token. */
  same: number;
  /** Positions with another, of which Pare's engine thinks the same within a tenth of a logit. */
  nearTies: number;
  /** All others. */
  different: number;
}

/**
 * Compares the likeliest tokens position by position. Passed is a share of 99 % of the positions that are no near ties, of
 * which there must be some; logits that are no numbers agree with nothing.
 *
 * @param found the runtime's likeliest token after each token of the text
 */
export function compareTop({ top }: Reference, found: readonly number[], detail: string): Parity {
  const counts = { same: 0, nearTies: 0, different: 0 };
  for (const [position, { tokens, logits }] of top.entries()) {
    const place = tokens.indexOf(found[position] ?? -1);
    if (!Number.isFinite(logits[0])) counts.different++;
    else if (place === 0) counts.same++;
    else if (place > 0 && logits[0]! - logits[place]! < NEAR_TIE) counts.nearTies++;
    else counts.different++;
  }
  const comparable = counts.same + counts.different;
  const isClose = comparable >= COMPARABLE_WANTED * top.length && counts.same >= AGREEMENT_WANTED * comparable;
  return { status: isClose && comparable > 0 ? "passed" : "failed", detail, positions: top.length, ...counts };
}

/** Nothing was compared. */
export function skipped(detail: string): Parity {
  return { status: "skipped", detail, positions: 0, same: 0, nearTies: 0, different: 0 };
}
