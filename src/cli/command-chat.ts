// `pare chat`: talk to a model.
import type { Command } from "commander";

import { PareError, UsageError } from "../errors.js";
import type { Answer, AnswerResult, ChatOptions } from "../evaluate/chat.js";
import { converse } from "./conversation.js";
import { addExamples } from "./examples.js";
import { type Invocation, perform } from "./invocation.js";
import { argument, number, option, wholeNumber } from "./options.js";

interface ChatFlags {
  prompt?: string;
  system?: string;
  raw?: boolean;
  greedy?: boolean;
  tokens?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  seed?: number;
  context?: number;
  adapter?: string;
}

export function describeChat(program: Command): void {
  const command = program
    .command("chat")
    .summary("talk to a model")
    .description(
      "Talks to a model, word by word as it answers. With --prompt, or with text on standard input, it answers once and " +
        "ends. In a conversation Ctrl-C stops the answer, and once more leaves.",
    )
    .addArgument(argument("<model>", "GGUF file", "file"))
    .addOption(option("--adapter <file>", "LoRA adapter of the model", { completes: "file" }))
    .option("-p, --prompt <text>", "answer this and end; - reads it from standard input")
    .option("--system <text>", "system message")
    .option("--raw", "continue the text as it is, without the model's chat template")
    .option("--greedy", "always take the likeliest token")
    .addOption(option("-n, --tokens <count>", "tokens per answer at most", { parse: wholeNumber(1, 1e7) }))
    .addOption(option("--temperature <number>", "how freely to sample", { parse: number(0, 100) }))
    .addOption(
      option("--top-k <count>", "sample among the likeliest tokens only; 0 is all", { parse: wholeNumber(0, 1e6) }),
    )
    .addOption(option("--top-p <share>", "sample among the likeliest tokens of this share", { parse: number(0, 1) }))
    .addOption(option("--min-p <share>", "least probability, as a share of the likeliest's", { parse: number(0, 1) }))
    .addOption(option("--seed <number>", "seed of the sampling", { parse: wholeNumber(0, 2 ** 32 - 1) }))
    .addOption(option("--context <tokens>", "context length", { parse: wholeNumber(8, 1 << 24) }))
    .action(
      perform(async (invocation, flags: ChatFlags, model: string) => {
        const options = chatOptions(flags, model, invocation);
        const prompt = await promptOf(flags);
        if (prompt !== undefined) return answerOnce(invocation, options, prompt);
        if (invocation.json) throw new UsageError("--json needs a prompt", { hint: "Add --prompt TEXT" });
        const { chat } = await import("../evaluate/chat.js");
        await using session = chat(options);
        await converse(session, invocation);
      }),
    );
  addExamples(command, [
    "pare chat model.gguf",
    'pare chat model.gguf --prompt "Once upon a time" --greedy --tokens 64',
    'pare chat model.gguf --system "Answer in one sentence" --temperature 0.7',
  ]);
}

function chatOptions(flags: ChatFlags, model: string, { threads }: Invocation): ChatOptions {
  const { prompt: _prompt, tokens, context, ...rest } = flags;
  return { ...rest, model, maxTokens: tokens, contextLength: context, threads };
}

/** The text to answer once, or undefined for a conversation. */
async function promptOf({ prompt }: ChatFlags): Promise<string | undefined> {
  if (prompt !== undefined && prompt !== "-") return prompt;
  if (prompt === undefined && process.stdin.isTTY) return undefined;
  let text = "";
  for await (const piece of process.stdin.setEncoding("utf8")) text += piece as string;
  if (text.trim() === "")
    throw new UsageError("The prompt is empty", { hint: "Add --prompt TEXT, or run it on a terminal" });
  return text.replace(/\r?\n$/, "");
}

async function answerOnce(invocation: Invocation, options: ChatOptions, prompt: string): Promise<void> {
  const { chat } = await import("../evaluate/chat.js");
  await using session = chat(options);
  const answer = session.send(prompt, { signal: invocation.signal });
  if (!invocation.json) await stream(answer);
  const result = await answer.result;
  if (!invocation.json) process.stdout.write("\n");
  invocation.signal.throwIfAborted();
  if (result.reason === "not-a-number") throw brokenModel(options.model);
  if (invocation.json) invocation.print({ model: options.model, prompt, ...result }, () => "");
  if (invocation.verbose) invocation.remark(speedOf(result));
}

async function stream(answer: Answer): Promise<void> {
  for await (const piece of answer) process.stdout.write(piece);
}

function brokenModel(path: string): PareError {
  return new PareError(`The model "${path}" computes values that are not numbers`, {
    hint: "The file is damaged or was quantized too far; pare inspect shows its types",
  });
}

function speedOf({ answerTokens, decodeTokensPerSecond, prefillTokens, prefillTokensPerSecond }: AnswerResult): string {
  const speed = (rate: number | null): string => (rate === null ? "" : ` at ${rate.toFixed(1)} tokens/s`);
  return `prompt ${prefillTokens} tokens${speed(prefillTokensPerSecond)}, answer ${answerTokens} tokens${speed(decodeTokensPerSecond)}`;
}
