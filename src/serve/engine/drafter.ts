// A small model that guesses the next tokens of an answer; the large one then looks at all of them in one call, and as many are taken as
// it would have chosen itself (Leviathan et al., 2023, "Fast inference from transformers via speculative decoding", arXiv:2211.17192;
// Chen et al., 2023, arXiv:2302.01318).
//
// Guesses are the draft's likeliest tokens, so its distribution q is 1 at one token x. The papers' rule then accepts x with probability
// p(x), and otherwise draws from p without x. To draw from p, and to see whether it is x, is the same; and with the same random
// numbers it gives the same answer, token for token, as without a draft, whatever the sampler and the grammar are.
import { logSumExp } from "../../evaluate/choose.js";
import { Lanes } from "../../evaluate/lanes.js";
import { PareError } from "../../errors.js";
import type { LlamaModel } from "../../native/llama-model.js";
import { argmax } from "../../support/argmax.js";

const LANE = 0;
const CONFIDENCE_MIN = 0.6; // a guess that the draft itself doubts costs a row of the large model for little

/** A draft model with the text of one answer in its cache. */
export class Drafter implements Disposable {
  readonly #lanes: Lanes;
  /** Tokens in the cache. */
  #cached: number[] = [];

  constructor(model: LlamaModel, options: { contextLength: number; threads?: number | undefined }) {
    const laneTokens = Math.min(options.contextLength, model.contextLengthTrained || options.contextLength);
    this.#lanes = new Lanes(model, { laneTokens, count: 1, threads: options.threads, fast: true });
  }

  /**
   * Guesses how a text goes on.
   *
   * @param parts the text so far, in order
   * @param most tokens at most
   * @returns fewer where the draft is not sure, or its context is full
   */
  propose(parts: readonly (readonly number[])[], most: number): number[] {
    const text = parts.flat();
    if (text.length + most > this.#lanes.laneTokens || most < 1) return [];
    const guesses: number[] = [];
    let logits = this.#follow(text);
    for (;;) {
      const guess = argmax(logits);
      const confidence = Math.exp(logits[guess]! - logSumExp(logits));
      if (!(confidence >= CONFIDENCE_MIN) || this.#lanes.model.isEndOfGeneration(guess)) return guesses;
      guesses.push(guess);
      if (guesses.length === most) return guesses;
      this.#lanes.step([{ lane: LANE, token: guess }], (_, row) => (logits = row));
      this.#cached.push(guess);
    }
  }

  /** Brings the cache to a text; most of it is there from the guesses before. @returns logits after it */
  #follow(text: number[]): Float32Array {
    let same = 0;
    while (same < Math.min(this.#cached.length, text.length - 1) && this.#cached[same] === text[same]) same++;
    this.#lanes.truncate(LANE, same);
    this.#cached = text;
    for (;;) {
      const logits = this.#lanes.prefillPiece(LANE, text);
      if (logits) return logits;
    }
  }

  [Symbol.dispose](): void {
    this.#lanes[Symbol.dispose]();
  }
}

/** @throws {PareError} when the draft's tokens are not the model's */
export function requireSameTokens(model: LlamaModel, draft: LlamaModel): void {
  const fault = (what: string): PareError =>
    new PareError(`"${draft.path}" can't draft for "${model.path}": ${what}`, {
      hint: "A draft is a smaller model of the same family, with the same vocabulary",
    });
  if (draft.vocabularySize !== model.vocabularySize) {
    throw fault(`its vocabulary has ${draft.vocabularySize} tokens, not ${model.vocabularySize}`);
  }
  for (let token = 0; token < model.vocabularySize; token++) {
    const isSame = Buffer.from(draft.tokenBytes(token, true)).equals(model.tokenBytes(token, true));
    if (!isSame) throw fault(`its token ${token} is another`);
  }
}
