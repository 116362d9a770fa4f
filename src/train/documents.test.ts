// What of an example counts: all of a text, the completion of a prompt, the assistant's words.
import { afterAll, beforeAll, expect, test } from "vitest";

import { temporaryFolder } from "../../test/command.js";
import { writeSyntheticModel } from "../../test/synthetic-model.js";
import { loadEngine } from "../native/engine.js";
import { LlamaModel } from "../native/llama-model.js";
import { tokenizeExamples } from "./documents.js";
import type { Example } from "./examples.js";

const inputs = temporaryFolder();
const path = inputs.path("chat.gguf");
beforeAll(() =>
  writeSyntheticModel(path, {
    width: 32,
    feedForward: 32,
    vocabulary: 420,
    chatTemplate: "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: ",
  }),
);
afterAll(() => inputs[Symbol.dispose]());

/** Each document as what is given and what counts. */
function split(examples: Example[]): [string, string][] {
  using model = LlamaModel.load(loadEngine(), path, { vocabOnly: true });
  return tokenizeExamples(model, examples).map(({ tokens, counts }) => {
    expect(counts).toEqual(counts.toSorted());
    const at = counts.indexOf(1);
    expect(tokens.at(-1)).toBe(model.eosToken);
    const text = (part: Int32Array): string => model.detokenize(part, { special: false });
    return [text(tokens.subarray(0, at)).trimStart(), text(tokens.subarray(at, -1)).trimStart()];
  });
}

test("tokenizeExamples() counts all of a text, the completion of a prompt, and ends each document", () => {
  expect(split([{ text: "the rain" }, { prompt: "the cat", completion: "sat" }])).toEqual([
    ["", "the rain"],
    ["the cat", "sat"],
  ]);
});

test("tokenizeExamples() makes a document of each of the assistant's turns, as the template writes it", () => {
  const messages = [
    { role: "user", content: "hi" },
    { role: "assistant", content: "yes" },
    { role: "user", content: "and" },
    { role: "assistant", content: "no" },
  ];
  expect(split([{ messages }])).toEqual([
    ["user: hi\nassistant: ", "yes"],
    ["user: hi\nassistant: yes\nuser: and\nassistant: ", "no"],
  ]);
});
