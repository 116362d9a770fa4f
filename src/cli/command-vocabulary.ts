// `pare vocabulary`: the tokens of a new model, learned from text.
import type { Command } from "commander";

import type { VocabularyRequest, VocabularyResult } from "../vocabulary/learn-vocabulary.js";
import { formatBytes, formatCount, formatDuration } from "../support/units.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument, option, wholeNumber } from "./options.js";
import { printable, renderFacts } from "./table.js";

export function describeVocabulary(program: Command): void {
  const command = program
    .command("vocabulary")
    .summary("learn the tokens of a new model from text")
    .description(
      "Learns a byte-level byte-pair vocabulary from text and writes it as a GGUF file, which `pare train --vocabulary` takes for a new " +
        "model. llama.cpp splits text into exactly these tokens (pre-tokenizer gpt-2).",
    )
    .addArgument(argument("<text...>", "files: .jsonl examples, anything else as plain text", "file"))
    .addOption(option("-o, --output <file>", "GGUF file to write", { completes: "file" }).makeOptionMandatory())
    .addOption(
      option("--size <count>", "tokens, of which 256 are the bytes", {
        parse: wholeNumber(257, 2 ** 20),
      }).makeOptionMandatory(),
    )
    .addOption(option("--end <text>", "token that ends a document or a turn (default: <|end|>)"))
    .addOption(option("--special <text>", "a further control token; can be given again", { repeatable: true }))
    .addOption(option("--chat-template <file>", "file with a chat template in Jinja", { completes: "file" }))
    .action(
      perform(async (invocation, options: Omit<VocabularyRequest, "texts">, texts: string[]) => {
        const { learnVocabulary } = await import("../vocabulary/learn-vocabulary.js");
        const result = await learnVocabulary({ ...options, texts }, invocation.runOptions);
        if (result.tokens < options.size)
          invocation.remark(
            `the text has no more than ${formatCount(result.tokens)} tokens: no other pair occurs twice`,
          );
        invocation.print(result, () => render(result));
      }),
    );
  addExamples(command, [
    "pare vocabulary mails.jsonl --size 4096 -o vocabulary.gguf",
    'pare vocabulary chats.jsonl --size 8192 --special "<|user|>" --special "<|assistant|>" --chat-template chat.jinja -o vocabulary.gguf',
  ]);
}

function render(result: VocabularyResult): string {
  return renderFacts([
    ["wrote", `${printable(result.output)}, ${formatBytes(result.sizeBytes)}`],
    ["tokens", `${formatCount(result.tokens)}, of ${formatCount(result.merges)} merges`],
    ["control", result.control.map(({ id, text }) => `${printable(text)} (${id})`).join(", ")],
    ["text", `${formatBytes(result.bytes)}, ${result.bytesPerToken.toFixed(2)} bytes per token`],
    ["SHA-256", result.sha256],
    ["time", formatDuration(result.seconds * 1000)],
  ]);
}
