// A teacher that is only to be talked to: an endpoint of OpenAI's API answers prompts, and tells of each token of its answers
// the likeliest with their log-probabilities (20 at most). Learning from a teacher's answers is sequence-level distillation
// (Kim and Rush, 2016, arXiv:1606.07947).
//
// Answers gather in a journal, so that nothing is asked twice.
import { appendFile, readFile } from "node:fs/promises";

import { z } from "zod";

import { FormatError, PareError, UsageError, messageOf } from "../../errors.js";
import { sha256, writeFileAtomic } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import type { Example } from "../../train/examples.js";

/** Requests at once. */
const REQUESTS = 4;
export interface Endpoint {
  /** The API's base, such as `http://localhost:8080/v1`. */
  url: string;
  /** By the endpoint's name; its first by default. */
  model?: string | undefined;
  key?: string | undefined;
}

export interface Asking {
  /** Tokens of an answer at most. */
  tokensMax: number;
  temperature: number;
  seed: number;
  /** Likeliest tokens to ask for, 20 at most. */
  top: number;
}

/** One token of an answer: its bytes, and the likeliest in its place. */
const entry = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.number()).nullish() });
const chatAnswer = z.object({
  choices: z
    .array(
      z.object({
        message: z.object({ content: z.string().nullable() }),
        finish_reason: z.string().nullish(),
        logprobs: z.object({ content: z.array(entry.extend({ top_logprobs: z.array(entry) })).nullish() }).nullish(),
      }),
    )
    .min(1),
});
const completionAnswer = z.object({
  choices: z
    .array(
      z.object({
        text: z.string(),
        finish_reason: z.string().nullish(),
        logprobs: z
          .object({ tokens: z.array(z.string()), top_logprobs: z.array(z.record(z.string(), z.number()).nullable()) })
          .nullish(),
      }),
    )
    .min(1),
});

/** What an endpoint said to an example. */
export interface Answer {
  index: number;
  text: string;
  /** True when it ended by itself and not at its limit. */
  isWhole: boolean;
  /** Empty where the endpoint tells nothing of tokens. */
  tokens: AnswerToken[];
}

export interface AnswerToken {
  /** In hexadecimal. */
  bytes: string;
  top: { bytes: string; logProbability: number }[];
}

/**
 * Asks for an answer to every example.
 *
 * @param journal file of answers; those of another request are dropped
 * @throws {UsageError} when an example is plain text
 * @throws {PareError} when the endpoint can't be reached or refuses; answers so far are kept
 */
export async function askEndpoint(
  endpoint: Endpoint,
  examples: readonly Example[],
  asking: Asking,
  journal: string,
  options: RunOptions,
): Promise<Answer[]> {
  const identity = sha256(JSON.stringify([endpoint.url, endpoint.model, asking, examples]));
  const answers = await knownAnswers(journal, identity);
  const left = examples.flatMap((example, index) => (answers.has(index) ? [] : [{ example, index }]));
  const model = endpoint.model ?? (left.length > 0 ? await firstModel(endpoint, options) : "");
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next; next = left.shift()) {
      options.signal?.throwIfAborted();
      const answer = { index: next.index, ...(await ask({ ...endpoint, model }, next.example, asking, options)) };
      answers.set(next.index, answer);
      await appendFile(journal, `${JSON.stringify(answer)}\n`);
      options.onProgress?.({ stage: "asking", done: answers.size, total: examples.length, unit: "prompts" });
    }
  };
  await Promise.all(Array.from({ length: REQUESTS }, work));
  return examples.map((_, index) => answers.get(index)!);
}

async function knownAnswers(journal: string, identity: string): Promise<Map<number, Answer>> {
  const [first, ...lines] = (await readFile(journal, "utf8").catch(() => "")).split("\n");
  if (first !== identity) {
    await writeFileAtomic(journal, `${identity}\n`);
    return new Map();
  }
  const answers = lines.flatMap((line) => {
    try {
      return [JSON.parse(line) as Answer];
    } catch {
      return []; // cut when its process was killed
    }
  });
  return new Map(answers.map((answer) => [answer.index, answer]));
}

async function firstModel(endpoint: Endpoint, options: RunOptions): Promise<string> {
  const { data } = z
    .object({ data: z.array(z.object({ id: z.string() })).min(1) })
    .parse(await send(endpoint, "models", undefined, options));
  return data[0]!.id;
}

async function ask(
  endpoint: Endpoint,
  example: Example,
  asking: Asking,
  options: RunOptions,
): Promise<Omit<Answer, "index">> {
  const { tokensMax: max_tokens, temperature, seed, top } = asking;
  const common = { model: endpoint.model, max_tokens, temperature, top_p: 1, seed };
  if ("messages" in example) {
    const until = example.messages.findIndex(({ role }) => role === "assistant");
    const body = { ...common, messages: example.messages.slice(0, until), logprobs: true, top_logprobs: top };
    const { message, logprobs, finish_reason } = chatAnswer.parse(
      await send(endpoint, "chat/completions", body, options),
    ).choices[0]!;
    const tokens = (logprobs?.content ?? []).map(({ top_logprobs, ...one }) => ({
      bytes: hexOf(one),
      top: [...new Map([one, ...top_logprobs].map((each) => [hexOf(each), each.logprob]))].map(
        ([bytes, logProbability]) => ({ bytes, logProbability }),
      ),
    }));
    return { text: message.content ?? "", isWhole: finish_reason === "stop", tokens };
  }
  if (!("prompt" in example)) {
    throw new UsageError("An endpoint answers prompts, and plain text asks for no answer", {
      hint: 'Give lines {"prompt", "completion"} or {"messages"} in a .jsonl file; their own answers are not used',
    });
  }
  const body = { ...common, prompt: example.prompt, logprobs: top };
  const { text, logprobs, finish_reason } = completionAnswer.parse(await send(endpoint, "completions", body, options))
    .choices[0]!;
  const tokens = (logprobs?.tokens ?? []).map((token, i) => ({
    bytes: hexOf({ token }),
    top: Object.entries(logprobs!.top_logprobs[i] ?? {}).map(([other, logProbability]) => ({
      bytes: hexOf({ token: other }),
      logProbability,
    })),
  }));
  return { text, isWhole: finish_reason === "stop", tokens };
}

function hexOf({ token, bytes }: { token: string; bytes?: number[] | null | undefined }): string {
  return Buffer.from(bytes ?? new TextEncoder().encode(token)).toString("hex");
}

async function send({ url, key }: Endpoint, path: string, body: unknown, { signal }: RunOptions): Promise<unknown> {
  const address = `${url.replace(/\/+$/, "")}/${path}`;
  const headers = { "content-type": "application/json", ...(key && { authorization: `Bearer ${key}` }) };
  const init = {
    headers,
    ...(signal && { signal }),
    ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
  };
  const response = await fetch(address, init).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw new PareError(`Cannot reach "${address}": ${messageOf((cause as Error).cause ?? cause)}`, {
      hint: "Is the server running? The same command goes on with the answers so far",
      cause,
    });
  });
  const text = await response.text();
  if (!response.ok)
    throw new PareError(`"${address}" refused with status ${response.status}: ${text.slice(0, 300)}`, {
      hint: "The same command goes on with the answers so far",
    });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FormatError(address, `"${address}" answered with something that is no JSON`, { cause });
  }
}
