// `pare chat`: talk to a model.
import type { Command } from "commander";

import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument, number, option, wholeNumber } from "./options.js";

interface ChatOptions {
  prompt?: string;
  greedy?: boolean;
  tokens?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  seed?: number;
  context?: number;
  system?: string;
  raw?: boolean;
}

export function describeChat(program: Command): void {
  const command = program
    .command("chat")
    .summary("talk to a model")
    .description("Talks to a model, word by word as it answers. With --prompt it answers once and ends.")
    .addArgument(argument("<model>", "GGUF file", "file"))
    .option("-p, --prompt <text>", "answer this and end; - reads it from standard input")
    .option("--system <text>", "system message")
    .option("--raw", "continue the text as it is, without a chat template")
    .option("--greedy", "always take the likeliest token")
    .addOption(option("-n, --tokens <count>", "tokens per answer at most", { parse: wholeNumber(1, 1e7) }))
    .addOption(option("--temperature <number>", "how freely to sample", { parse: number(0, 100) }))
    .addOption(option("--top-k <count>", "sample among the likeliest tokens only", { parse: wholeNumber(0, 1e6) }))
    .addOption(option("--top-p <share>", "sample among the likeliest tokens of this share", { parse: number(0, 1) }))
    .addOption(option("--seed <number>", "seed of the sampling", { parse: wholeNumber(0, 2 ** 32 - 1) }))
    .addOption(option("--context <tokens>", "context length", { parse: wholeNumber(8, 1 << 24) }))
    .action(
      perform(async (_invocation, _options: ChatOptions, _model: string) => {
        throw new Error("not wired yet");
      }),
    );
  addExamples(command, [
    "pare chat model.gguf",
    'pare chat model.gguf --prompt "Once upon a time" --greedy --tokens 64',
    'pare chat model.gguf --system "Answer in one sentence" --temperature 0.7',
  ]);
}
