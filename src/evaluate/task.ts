// A task: cases with a prompt and a way to score the answer, read from JSON Lines. Everything that can be wrong with a case
// is found here, with its line, before a model is loaded.
import { readFile } from "node:fs/promises";
import { basename } from "node:path";

import { z } from "zod";

import { FormatError, UsageError, messageOf } from "../errors.js";
import { sha256 } from "../support/files.js";
import { type FaultyCase, withoutFaults } from "./task-faults.js";
import { isScorerName, SCORER_NAMES, SCORERS, type ScorerName } from "./scorers/registry.js";

/** One turn of a conversation, as chat templates take it. */
export interface ChatMessage {
  role: string;
  content: string;
}

export interface TaskCase {
  /** Unique in the task; `line-7` where the file gives none. */
  id: string;
  /** Line of the file, from 1. */
  line: number;
  /** Text to continue as it is. Either this or `messages`. */
  prompt?: string | undefined;
  /** A conversation, put into the model's own chat template. */
  messages?: ChatMessage[] | undefined;
  /** What is right; without it the baseline's answer is. */
  expect?: unknown;
  scorer: ScorerName;
  tags: string[];
  choices?: string[] | undefined;
  /** How likelihoods of choices of unequal length are compared: summed, or per token or UTF-8 byte. */
  normalize?: "none" | "tokens" | "bytes" | undefined;
  schema?: object | boolean | undefined;
  pattern?: string | undefined;
  /** Tokens of the answer at most. */
  maxTokens?: number | undefined;
  /** Texts that end the answer; they are no part of it. */
  stop: string[];
}

export interface Task {
  name: string;
  path: string;
  /** Of the file's bytes. */
  sha256: string;
  cases: TaskCase[];
  /** Faulty cases that were left out on request. */
  excluded?: FaultyCase[];
  /** Cases that contradict each other and were kept. */
  contradictions?: FaultyCase[];
}

/** What holds for cases that don't say otherwise. */
export interface TaskDefaults {
  scorer?: string | undefined;
  maxTokens?: number | undefined;
  stop?: string[] | undefined;
  /** Leave out cases that share an id, which are an error otherwise, and those that contradict each other. */
  excludeFaulty?: boolean | undefined;
}

const texts = z.union([z.string(), z.array(z.string())]);

/** One line of a task file. A misspelt field would silently change what is measured, so unknown ones are refused. */
export const taskCaseSchema = z.strictObject({
  id: z
    .union([z.string().min(1), z.number()])
    .optional()
    .describe("unique name of the case; by default line-<number>"),
  prompt: z.string().optional().describe("text to continue; either this or messages"),
  messages: z
    .array(z.looseObject({ role: z.string(), content: z.string() }))
    .min(1)
    .optional()
    .describe("conversation for the model's chat template; either this or prompt"),
  expect: z.json().optional().describe("what is right; without it, the baseline's answer"),
  scorer: z
    .string()
    .optional()
    .describe(`one of ${SCORER_NAMES.join(", ")}`),
  tags: texts.optional().describe("groups that are scored on their own, too"),
  choices: z.array(z.string()).optional().describe("with choice: the continuations to choose from"),
  normalize: z
    .enum(["none", "tokens", "bytes"])
    .optional()
    .describe("with choice: likelihood in all, per token or per byte"),
  schema: z
    .union([z.record(z.string(), z.unknown()), z.boolean()])
    .optional()
    .describe("with json: JSON Schema of the answer"),
  pattern: z.string().optional().describe("with regex: JavaScript regular expression, flag u"),
  maxTokens: z.number().int().min(1).max(1_000_000).optional().describe("tokens of the answer at most"),
  stop: texts.optional().describe("texts that end the answer"),
  metadata: z.unknown().optional().describe("anything; ignored"),
});

/**
 * Reads a task file: JSON Lines, one case a line, empty lines ignored.
 *
 * @throws {FormatError} with the line's number when a case is not what it should be
 * @throws {UsageError} when the default scorer is unknown
 */
export async function readTask(path: string, defaults: TaskDefaults = {}): Promise<Task> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : messageOf(error);
    throw new FormatError(path, `Cannot read task "${path}": ${reason}`, { cause: error });
  }
  return parseTask(bytes, { ...defaults, path });
}

/**
 * Reads a task from the text of a task file.
 *
 * @param options.path what errors call it
 * @throws {FormatError} as {@link readTask}
 */
export function parseTask(source: string | Uint8Array, options: TaskDefaults & { path: string }): Task {
  const { path } = options;
  requireScorer(options.scorer);
  const bytes = typeof source === "string" ? Buffer.from(source) : source;
  const cases: TaskCase[] = [];
  for (const { line, text } of numberedLines(bytes, path)) {
    cases.push(parseCase(text, { ...options, line }));
  }
  if (cases.length === 0) {
    throw new FormatError(path, `Cannot read task "${path}": it has no cases`, {
      hint: 'Write one case a line, such as {"prompt": "2 + 2 =", "expect": "4"}',
    });
  }
  const sound = withoutFaults(cases, path, options.excludeFaulty ?? false);
  return { name: basename(path).replace(/(\.task)?\.jsonl?$/, ""), path, sha256: sha256(bytes), ...sound };
}

function requireScorer(name: string | undefined): void {
  if (name === undefined || isScorerName(name)) return;
  throw new UsageError(`Unknown scorer "${name}": there are ${SCORER_NAMES.join(", ")}`);
}

/** The lines that hold something, numbered from 1. */
function* numberedLines(bytes: Uint8Array, path: string): Generator<{ line: number; text: string }> {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes); // drops a byte-order mark
  } catch (cause) {
    throw new FormatError(path, `Cannot read task "${path}": it is not UTF-8 text`, { cause });
  }
  let line = 0;
  for (const content of text.split("\n")) {
    line++;
    if (content.trim() !== "") yield { line, text: content };
  }
}

function parseCase(text: string, options: TaskDefaults & { path: string; line: number }): TaskCase {
  const { path, line } = options;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw lineError(path, line, `it is no JSON: ${messageOf(cause)}`, cause);
  }
  const parsed = taskCaseSchema.safeParse(value);
  if (!parsed.success) throw lineError(path, line, problemOf(value, parsed.error));
  const raw = parsed.data;
  const scorer = raw.scorer ?? scorerFor(raw) ?? options.scorer ?? "exact";
  if (!isScorerName(scorer)) {
    throw lineError(path, line, `the scorer "${scorer}" is unknown: there are ${SCORER_NAMES.join(", ")}`);
  }
  const { metadata: _metadata, ...fields } = raw;
  const taskCase: TaskCase = {
    ...fields,
    id: String(raw.id ?? `line-${line}`),
    line,
    scorer,
    tags: [raw.tags ?? []].flat(),
    maxTokens: raw.maxTokens ?? options.maxTokens,
    stop: [raw.stop ?? options.stop ?? []].flat(),
  };
  const problem = problemOfPrompt(taskCase) ?? SCORERS[scorer].check(taskCase);
  if (problem !== undefined) throw lineError(path, line, problem);
  return taskCase;
}

/** Fields that only one scorer reads name that scorer. */
function scorerFor(raw: z.infer<typeof taskCaseSchema>): ScorerName | undefined {
  if (raw.choices !== undefined) return "choice";
  if (raw.schema !== undefined) return "json";
  if (raw.pattern !== undefined) return "regex";
  return undefined;
}

function problemOfPrompt({ prompt, messages, stop }: TaskCase): string | undefined {
  if (prompt !== undefined && messages !== undefined) return 'it has both "prompt" and "messages", one is wanted';
  if (prompt === undefined && messages === undefined) return 'it has neither "prompt" nor "messages"';
  if (stop.includes("")) return '"stop" has an empty text, which would end every answer';
  return undefined;
}

function problemOf(value: unknown, error: z.ZodError): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "it is not a JSON object";
  const issue = error.issues[0]!;
  if (issue.code === "unrecognized_keys") {
    const known = Object.keys(taskCaseSchema.shape).join(", ");
    return `the field "${issue.keys[0]}" is unknown: there are ${known}`;
  }
  return `"${issue.path.join(".")}": ${issue.message}`;
}

function lineError(path: string, line: number, problem: string, cause?: unknown): FormatError {
  return new FormatError(path, `Cannot read task "${path}": line ${line}: ${problem}`, { cause });
}
