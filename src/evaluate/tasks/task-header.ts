// The YAML header of a task: what holds for all its cases, and how the columns of a file become prompts.
//
//   name: bank-intents
//   cases: test.csv
//   prompt: "Message: {{ text }}\nIntent:"
//   expect: "{{ category }}"
//   labels: [card_lost, top_up]
import { dirname, join } from "node:path";

import { z } from "zod";

import { FormatError } from "../../errors.js";
import { Random } from "../../support/random.js";
import { type ChatMessage, type TaskRow, lineError, taskCaseSchema } from "../task.js";
import type { ReadFiles } from "./read-task.js";
import { readRows } from "./task-rows.js";
import { type Row, RowTemplate, filled } from "./template.js";

const CASES_NAME = "cases.jsonl";

const textOrList = z.union([z.string(), z.array(z.string())]);
const { id: _id, messages: _messages, metadata: _metadata, ...caseFields } = taskCaseSchema.shape;

/** The header. Fields of a case that stand here hold for cases that don't say otherwise. */
export const taskHeaderSchema = z.strictObject({
  ...caseFields,
  name: z.string().min(1).optional(),
  description: z.string().optional(),
  license: z.string().optional(),
  cases: z.string().optional().describe("file of cases beside the header; cases.jsonl unless given"),
  id: z.string().optional().describe("template of ids, such as {{ question_id }}"),
  system: z.string().optional().describe("system message; prompts become messages of the user behind it"),
  chat: z.boolean().optional().describe("prompts become messages of the user, without a system message"),
  prompt: z.string().optional().describe("template of prompts; columns are named in it, {{ text }}"),
  expect: z.unknown().optional().describe("template of what is right"),
  choices: textOrList.optional().describe("template of the choices, or a list of templates"),
  tags: textOrList.optional(),
  examples: z
    .union([z.string(), z.array(z.record(z.string(), z.unknown()))])
    .optional()
    .describe("rows that are shown before each case: a file beside the header, or a list"),
  fewShot: z.number().int().min(0).optional().describe("how many of the examples are shown; all unless given"),
  limits: z
    .strictObject({ cases: z.number().int().min(1).optional(), maxTokens: z.number().int().min(1).optional() })
    .optional()
    .describe("cases to run at most, and tokens of an answer"),
  repeats: z.number().int().min(1).max(1000).optional().describe("how often each case is asked"),
  temperature: z.number().min(0).max(10).optional().describe("of answers when there are repeats; 0.7 unless given"),
  seed: z.number().int().min(0).optional(),
  harness: z.string().optional().describe("task of lm-evaluation-harness, in YAML, that these cases are for"),
  metric: z.enum(["acc", "acc_norm"]).optional().describe("with harness: which of its two choices counts"),
});

export type TaskHeader = z.infer<typeof taskHeaderSchema>;

/** @throws {FormatError} naming the field that is wrong */
export function parseHeader(yaml: Record<string, unknown>, path: string): TaskHeader {
  const parsed = taskHeaderSchema.safeParse(yaml);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const problem =
      issue.code === "unrecognized_keys" && issue.path.length === 0
        ? `the field "${issue.keys[0]}" is unknown: there are ${Object.keys(taskHeaderSchema.shape).join(", ")}`
        : `"${issue.path.join(".")}": ${issue.message}`;
    throw new FormatError(path, `Cannot read task "${path}": ${problem}`);
  }
  const { limits, ...header } = parsed.data;
  return { ...header, limits, maxTokens: header.maxTokens ?? limits?.maxTokens };
}

/**
 * Reads the cases of a header and puts them into its form.
 *
 * @returns rows as {@link taskOf} takes them, and the lines of those that are also shown as examples
 */
export async function rowsUnderHeader(
  place: string,
  header: TaskHeader,
  files: ReadFiles,
): Promise<{ rows: TaskRow[]; shown: Set<number> }> {
  const beside = (name: string): string => join(dirname(place), name);
  const path = beside(header.cases ?? CASES_NAME);
  const { toCase, shots } = await refusingHeader(place, async () => {
    const toCase = caseMaker(header);
    return { toCase, shots: await examplesOf(header, beside, files, toCase) };
  });
  const questions = new Set(shots.map(questionOf));
  const shown = new Set<number>();
  const rows = (await readRows(path, files)).slice(0, header.limits?.cases).map(({ line, value }) =>
    located(path, line, () => {
      const written = toCase(asRow(value));
      if (questions.has(questionOf(written))) shown.add(line);
      return { line, value: inConversation(written, header, shots) };
    }),
  );
  return { rows, shown };
}

/** A case as it would be written in a file of cases. */
type WrittenCase = Record<string, unknown>;

function questionOf({ prompt, messages }: WrittenCase): string {
  return JSON.stringify([prompt, messages]);
}

/** Puts a row into the form of a case: by the header's templates where it has some, else the row is the case. */
function caseMaker(header: TaskHeader): (row: Row) => WrittenCase {
  const templates = (["id", "prompt", "expect", "choices", "tags"] as const)
    .filter((name) => header[name] !== undefined)
    .map((name) => ({ name, fill: fieldTemplate(name, header[name], name === "prompt" ? "text" : "value") }));
  const common = Object.keys(caseFields)
    .filter((name) => !templates.some((one) => one.name === name))
    .map((name) => [name, header[name as keyof TaskHeader]])
    .filter(([, value]) => value !== undefined);
  return (row) => ({
    ...(Object.fromEntries(common) as WrittenCase),
    ...(header.prompt === undefined ? row : {}),
    ...Object.fromEntries(templates.map(({ name, fill }) => [name, fill(row)])),
  });
}

/** What fills a field: a template, a list of them, or a plain value as it is. */
function fieldTemplate(name: string, source: unknown, as: "text" | "value" = "value"): (row: Row) => unknown {
  if (Array.isArray(source)) {
    const templates = source.map((one) => fieldTemplate(name, one, "text"));
    return (row) => templates.map((of) => of(row));
  }
  if (typeof source !== "string") return () => source;
  const template = filled(name, () => new RowTemplate(source));
  return (row) => filled(name, () => (as === "text" ? template.text(row) : template.value(row)));
}

async function examplesOf(
  { examples, fewShot, seed = 1 }: TaskHeader,
  beside: (name: string) => string,
  files: ReadFiles,
  toCase: (row: Row) => WrittenCase,
): Promise<WrittenCase[]> {
  if (examples === undefined) {
    if (!fewShot) return [];
    throw new Error(`"fewShot" is ${fewShot}, and there are no "examples" to show`);
  }
  const path = typeof examples === "string" ? beside(examples) : "";
  const rows =
    typeof examples === "string"
      ? await readRows(path, files)
      : examples.map((value, index) => ({ line: index + 1, value }));
  const count = fewShot ?? rows.length;
  if (count > rows.length) throw new Error(`"fewShot" is ${count}, and there are ${rows.length} examples`);
  const drawn = count < rows.length ? new Random(seed).fork("few-shot").shuffled(rows).slice(0, count) : rows;
  return drawn.map(({ line, value }) => located(path, line, () => toCase(asRow(value))));
}

/** Examples before a prompt as text, before messages as turns; a prompt becomes a message where the header wants a conversation. */
function inConversation(
  written: WrittenCase,
  { system, chat }: TaskHeader,
  shots: readonly WrittenCase[],
): WrittenCase {
  const { prompt, ...rest } = written;
  if (!(system !== undefined || chat) && rest["messages"] === undefined) {
    const shown = shots.map((shot) => `${joined(String(shot["prompt"]), answerOf(shot))}\n\n`).join("");
    return { ...written, prompt: typeof prompt === "string" ? shown + prompt : prompt };
  }
  const own = (rest["messages"] ?? [{ role: "user", content: prompt }]) as ChatMessage[];
  const first = system === undefined || own[0]?.role === "system" ? [] : [{ role: "system", content: system }];
  const turns = shots.flatMap((shot) => [
    ...((shot["messages"] as ChatMessage[] | undefined) ?? [{ role: "user", content: String(shot["prompt"]) }]),
    { role: "assistant", content: answerOf(shot).trim() },
  ]);
  return { ...rest, messages: [...first, ...turns, ...own] };
}

/** What a right answer looks like. */
function answerOf({ expect, choices }: WrittenCase): string {
  if (expect === undefined) throw new Error('an example needs "expect"');
  if (Array.isArray(choices) && typeof expect === "number") return String(choices[expect]);
  return typeof expect === "string" ? expect : JSON.stringify(expect);
}

function joined(prompt: string, answer: string): string {
  return /\s$/u.test(prompt) || /^\s/u.test(answer) ? prompt + answer : `${prompt} ${answer}`;
}

function asRow(value: unknown): Row {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Row;
  throw new Error("it is not a JSON object");
}

/** What goes wrong with the header is said with its path. */
async function refusingHeader<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw new FormatError(path, `Cannot read task "${path}": ${(cause as Error).message}`, { cause });
  }
}

/** What goes wrong with a row is said with its line. */
export function located<T>(path: string, line: number, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw cause instanceof FormatError ? cause : lineError(path, line, (cause as Error).message, cause);
  }
}
