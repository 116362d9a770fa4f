// Texts as vectors, as both APIs need them.
import type { Scope } from "./answer.js";
import type { PromptInput } from "./engine/messages.js";

/** One vector for each input, and the tokens of all. */
export async function embed(
  scope: Scope,
  inputs: readonly PromptInput[],
): Promise<{ vectors: Float32Array[]; tokens: number }> {
  const vectors: Float32Array[] = [];
  let tokens = 0;
  for (const input of inputs) {
    for await (const event of scope.model.engine.run({ kind: "embed", client: scope.client, input }, scope.signal)) {
      if (event.kind !== "embedded") continue;
      vectors.push(event.values);
      tokens += event.tokens;
    }
  }
  scope.record.noteStarted(tokens, 0);
  return { vectors, tokens };
}
