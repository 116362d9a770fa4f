// What a model is trained on, as files give it: plain text, or JSON Lines of texts, prompts with their completions, or
// conversations. Everything that can be wrong with a line is found here, with its number.
import { z } from "zod";

import { FormatError, UsageError, messageOf } from "../errors.js";
import { readText } from "../support/read-text.js";

const message = z.looseObject({ role: z.string(), content: z.string() });

/** One line of a JSON Lines file. A misspelt field would silently change what is learned, so unknown ones are refused. */
export const exampleSchema = z.union(
  [
    z.strictObject({ text: z.string().min(1) }),
    z.strictObject({ prompt: z.string(), completion: z.string().min(1) }),
    z.strictObject({
      messages: z
        .array(message)
        .min(2)
        .refine((messages) => messages.some(({ role }) => role === "assistant"), "no message is the assistant's"),
    }),
  ],
  { error: 'one of {"text"}, {"prompt", "completion"} and {"messages"} with an answer of the assistant is wanted' },
);

/** One document to learn from. */
export type Example = z.infer<typeof exampleSchema>;

/**
 * Reads training files: `.jsonl` line by line, anything else as one text.
 *
 * @throws {UsageError} when a file holds nothing
 * @throws {FormatError} naming the line that is no example
 */
export async function readExamples(paths: readonly string[], signal?: AbortSignal): Promise<Example[]> {
  const examples: Example[] = [];
  for (const path of paths) {
    const content = await readText(path, signal);
    if (content.trim() === "") throw new UsageError(`Cannot train: "${path}" is empty`);
    if (path.toLowerCase().endsWith(".jsonl")) for (const example of parseLines(path, content)) examples.push(example);
    else examples.push({ text: content });
  }
  return examples;
}

function* parseLines(path: string, content: string): Generator<Example> {
  for (const [index, line] of content
    .replace(/^\uFEFF/, "")
    .split("\n")
    .entries()) {
    if (line.trim() === "") continue;
    const fail = (reason: string): FormatError =>
      new FormatError(path, `Cannot read "${path}": line ${index + 1}: ${reason}`);
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch (cause) {
      throw fail(`it is no JSON: ${messageOf(cause)}`);
    }
    const parsed = exampleSchema.safeParse(value);
    if (!parsed.success) throw fail(parsed.error.issues[0]!.message);
    yield parsed.data;
  }
}
