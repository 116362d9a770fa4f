// Examples as tokens, with the targets that count: all of a text, of a prompt with its completion the completion, of a
// conversation what the assistant says. What the model is to write is tokenized apart from what it is given, as at run time.
import { PromptTokenizer } from "../evaluate/prompt-tokens.js";
import type { LlamaModel } from "../native/llama-model.js";
import type { Example } from "./examples.js";

/** A document in tokens. */
export interface Document {
  readonly tokens: Int32Array;
  /** 1 for each token that the model shall learn to predict. */
  readonly counts: Uint8Array;
}

/**
 * Tokenizes examples. Each document begins with BOS where the vocabulary wants it, and ends with EOS or the end of a turn.
 * A conversation gives one document for each of the assistant's turns, as the template writes what comes before it.
 *
 * @throws {PareError} when messages are given and the model has no chat template, or its template refuses them
 */
export function tokenizeExamples(model: LlamaModel, examples: readonly Example[]): Document[] {
  const tokenizer = new PromptTokenizer(model);
  return examples.flatMap((example) => {
    if ("text" in example) {
      const tokens = [...model.tokenize(example.text, { addSpecial: true })];
      const given = model.addsBos && tokens[0] === model.bosToken ? 1 : 0;
      return [document(model, tokens.slice(0, given), tokens.slice(given), model.eosToken)];
    }
    if ("prompt" in example) {
      const written = [...model.tokenize(example.completion)];
      return [document(model, tokenizer.prompt(example.prompt), written, model.eosToken)];
    }
    const { messages } = example;
    return messages.flatMap(({ role, content }, i) => {
      if (role !== "assistant") return [];
      const given = tokenizer.conversation({ messages: messages.slice(0, i) });
      return [
        document(model, given, [...model.tokenize(content)], model.eotToken >= 0 ? model.eotToken : model.eosToken),
      ];
    });
  });
}

function document(model: LlamaModel, given: number[], written: number[], end: number): Document {
  const hasEnd = end < 0 || written.at(-1) === end;
  const tokens = Int32Array.from([...given, ...written, ...(hasEnd ? [] : [end])]);
  const counts = new Uint8Array(tokens.length).fill(1, given.length);
  return { tokens, counts };
}
