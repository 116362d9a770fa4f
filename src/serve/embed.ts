// Texts as vectors, as both APIs need them. A cascade's are its large model's: vectors of two models can't be compared.
import type { Scope } from "./answer.js";
import { embedAtEndpoint } from "./cascade/ask-endpoint.js";
import type { PromptInput } from "./engine/messages.js";

interface Embedded {
  vectors: Float32Array[];
  tokens: number;
}

/** One vector for each input, and the tokens of all. */
export async function embed(scope: Scope, inputs: readonly PromptInput[]): Promise<Embedded> {
  const { model, signal, record } = scope;
  const large = model.cascade?.large;
  const embedded =
    large && "endpoint" in large
      ? await embedAtEndpoint(large.endpoint, inputs, signal)
      : await embedHere(scope, inputs);
  record.noteStarted(embedded.tokens, 0);
  return embedded;
}

async function embedHere({ model, client, signal }: Scope, inputs: readonly PromptInput[]): Promise<Embedded> {
  const vectors: Float32Array[] = [];
  let tokens = 0;
  for (const input of inputs) {
    for await (const event of model.engine.run({ kind: "embed", client, input }, signal)) {
      if (event.kind !== "embedded") continue;
      vectors.push(event.values);
      tokens += event.tokens;
    }
  }
  return { vectors, tokens };
}
