// What endpoints may cost at most, reckoned before the first call and watched while calls are made.
import { PareError, UsageError } from "../../errors.js";

const BYTES_PER_TOKEN_MIN = 2.5; // of text; most vocabularies need 3 to 5
const BYTES_PER_TOKEN_MAX = 6; // of an answer that is to be read by another model
const TOKENS_PER_MESSAGE = 16; // what a chat template adds

/** Tokens that a prompt has at most. */
export function promptTokensAtMost(bytes: number, messages: number): number {
  return Math.ceil(bytes / BYTES_PER_TOKEN_MIN) + TOKENS_PER_MESSAGE * (messages + 1);
}

/** Bytes that an answer has at most, but for texts of long words alone. */
export function answerBytesAtMost(tokens: number): number {
  return BYTES_PER_TOKEN_MAX * tokens;
}

export class CostCap {
  readonly dollars: number | undefined;
  #spent = 0;

  constructor(dollars: number | undefined) {
    this.dollars = dollars;
  }

  /**
   * @param dollars what all that is still to be asked may cost
   * @throws {UsageError} when that is more than the cap leaves
   */
  requireRoom(dollars: number): void {
    if (this.dollars === undefined || this.#spent + dollars <= this.dollars) return;
    throw new UsageError(
      `The endpoints may cost up to $${dollars.toFixed(2)}, the cap is $${this.dollars.toFixed(2)}`,
      {
        hint: "Ask fewer cases, allow shorter answers, or raise --cost-cap",
      },
    );
  }

  /** @throws {PareError} when more was spent than may be */
  spend(dollars: number): void {
    this.#spent += dollars;
    if (this.dollars === undefined || this.#spent <= this.dollars) return;
    throw new PareError(`The cost cap of $${this.dollars.toFixed(2)} is reached`, { hint: "Raise --cost-cap" });
  }
}
