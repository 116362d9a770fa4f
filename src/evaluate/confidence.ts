// How sure a model was of an answer: the geometric mean of its tokens' probabilities, the one that ended it among them. A cascade is
// fitted on this number (src/fit/cascade) and asks it of every answer that it serves (src/serve).
import { argmax } from "../support/argmax.js";
import { logProbability } from "./choose.js";
import type { GenerateRequest } from "./generate.js";

/** Watches the tokens of one answer. */
export class ConfidenceMeter {
  #sum = 0;
  #tokens = 0;

  /** Takes note of a token, from the logits that it was chosen from: the model's own, before temperature or grammar. */
  add(logits: Float32Array, token: number): void {
    this.#sum += logProbability(logits, token);
    this.#tokens++;
  }

  /** exp(Σ ln p ÷ tokens), in 0…1; 0 for an answer without tokens or of values that are no numbers. */
  get confidence(): number {
    const mean = Math.exp(this.#sum / this.#tokens);
    return Number.isNaN(mean) ? 0 : mean;
  }
}

/** The same answer, with a meter that sees its tokens. */
export function watched(request: GenerateRequest, meter: ConfidenceMeter | undefined): GenerateRequest {
  if (!meter) return request;
  const sampler = request.sampler ?? argmax;
  return {
    ...request,
    sampler: (logits) => {
      const token = sampler(logits);
      meter.add(logits, token);
      return token;
    },
  };
}
