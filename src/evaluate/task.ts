// A task: cases with a prompt and a way to score the answer. Everything that can be wrong with a case is found here, with its line,
// before a model is loaded. Which files hold tasks, and how, is in tasks/.
import { basename, dirname, resolve } from "node:path";

import { z } from "zod";

import { FormatError, UsageError, messageOf } from "../errors.js";
import { sha256 } from "../support/files.js";
import { RESTRICTED_LANGUAGES, type RestrictedLanguage } from "./run-restricted.js";
import { type JudgeSettings, judgeSchema } from "./judge/judge-settings.js";
import { type Constraint, constraintSchema } from "./scorers/constraints.js";
import { isScorerName, SCORER_NAMES, SCORERS, type ScorerName } from "./scorers/registry.js";
import { type FaultyCase, withoutFaults } from "./task-faults.js";

/** One turn of a conversation, as chat templates take it. */
export interface ChatMessage {
  role: string;
  content: string;
}

export interface TaskCase {
  /** Unique in the task; `line-7` where the file gives none. */
  id: string;
  /** Line of the file, or row of a table, from 1. */
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
  /** How likelihoods of choices of unequal length are compared: summed, or per token, UTF-8 byte or character. */
  normalize?: "none" | "tokens" | "bytes" | "characters" | undefined;
  schema?: object | boolean | undefined;
  pattern?: string | undefined;
  /** With numeric: a distance, or a share such as "1%". */
  tolerance?: number | string | undefined;
  labels?: string[] | undefined;
  ignoreCase?: boolean | undefined;
  /** With contains: texts that must not occur. */
  without?: string[] | undefined;
  constraints?: Constraint[] | undefined;
  /** With json and constraints: score the share of what is right. */
  partial?: boolean | undefined;
  /** With code: what stands before and after the answer in the program, and its language. */
  setup?: string | undefined;
  test?: string | undefined;
  language?: RestrictedLanguage | undefined;
  /** With function: absolute path of the module that scores. */
  score?: string | undefined;
  /** With judge: who judges, and by what; a file has its absolute path. */
  judge?: JudgeSettings | undefined;
  /** Tokens of the answer at most. */
  maxTokens?: number | undefined;
  /** Texts that end the answer; they are no part of it. */
  stop: string[];
}

/** How often each case is asked, and how the answers are drawn; see repeats.ts. */
export interface RepeatSettings {
  repeats?: number | undefined;
  temperature?: number | undefined;
  seed?: number | undefined;
}

export interface Task extends RepeatSettings {
  name: string;
  path: string;
  /** Of the file's bytes; of several files, of their hashes one a line. */
  sha256: string;
  /** The files that were read, in the order of that hash; none for a built-in suite. */
  files?: string[];
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
    .enum(["none", "tokens", "bytes", "characters"])
    .optional()
    .describe("with choice: likelihood in all, per token, per byte or per character"),
  schema: z
    .union([z.record(z.string(), z.unknown()), z.boolean()])
    .optional()
    .describe("with json: JSON Schema of the answer"),
  pattern: z.string().optional().describe("with regex: JavaScript regular expression, flag u"),
  tolerance: z.union([z.number(), z.string()]).optional().describe("with numeric: a distance, or a share such as 1%"),
  labels: z.array(z.string()).optional().describe("with label: all labels there are"),
  ignoreCase: z.boolean().optional().describe("with exact and contains: A is a"),
  without: texts.optional().describe("with contains: texts that must not occur"),
  constraints: z.array(constraintSchema).optional().describe("with constraints: what the answer must be like"),
  partial: z.boolean().optional().describe("with json and constraints: score the share that is right"),
  setup: z.string().optional().describe("with code: what stands before the answer"),
  test: z.string().optional().describe("with code: what stands behind it and fails if it is wrong"),
  language: z.enum(RESTRICTED_LANGUAGES).optional().describe("with code: javascript unless given"),
  score: z.string().optional().describe("with function: path of a module that exports score(answer, taskCase)"),
  judge: judgeSchema.optional().describe("with judge: who judges the answer, and by what"),
  maxTokens: z.number().int().min(1).max(1_000_000).optional().describe("tokens of the answer at most"),
  stop: texts.optional().describe("texts that end the answer"),
  metadata: z.unknown().optional().describe("anything; ignored"),
});

/**
 * Reads a task from JSON Lines: one case a line, empty lines ignored.
 *
 * @param options.path what errors call it
 * @throws {FormatError} with the line's number when a case is not what it should be
 * @throws {UsageError} when the default scorer is unknown
 */
export function parseTask(source: string | Uint8Array, options: TaskDefaults & { path: string }): Task {
  const { path } = options;
  const bytes = typeof source === "string" ? Buffer.from(source) : source;
  return { ...taskOf(rowsOfLines(bytes, path), options), sha256: sha256(bytes) };
}

/** A case as it was written, and where. */
export interface TaskRow {
  line: number;
  value: unknown;
}

/**
 * Makes a task of its cases.
 *
 * @param options.shown lines of cases that are also shown as examples, which makes them faulty
 * @throws {FormatError} with the line's number when a case is not what it should be
 * @throws {UsageError} when the default scorer is unknown
 */
export function taskOf(
  rows: Iterable<TaskRow>,
  options: TaskDefaults & { path: string; shown?: ReadonlySet<number> },
): Omit<Task, "sha256"> {
  const { path } = options;
  requireScorer(options.scorer);
  const cases = Array.from(rows, (row) => parseCase(row, options));
  if (cases.length === 0) {
    throw new FormatError(path, `Cannot read task "${path}": it has no cases`, {
      hint: 'Write one case a line, such as {"prompt": "2 + 2 =", "expect": "4"}',
    });
  }
  const sound = withoutFaults(cases, path, options.excludeFaulty ?? false, options.shown);
  return { name: basename(path).replace(/(\.task)?\.\w+$/, ""), path, files: [path], ...sound };
}

function requireScorer(name: string | undefined): void {
  if (name === undefined || isScorerName(name)) return;
  throw new UsageError(`Unknown scorer "${name}": there are ${SCORER_NAMES.join(", ")}`);
}

/** The lines that hold something, numbered from 1. */
export function* rowsOfLines(bytes: Uint8Array, path: string): Generator<TaskRow> {
  for (const [index, text] of textOf(bytes, path).split("\n").entries()) {
    if (text.trim() === "") continue;
    const line = index + 1;
    try {
      yield { line, value: JSON.parse(text) as unknown };
    } catch (cause) {
      throw lineError(path, line, `it is no JSON: ${messageOf(cause)}`, cause);
    }
  }
}

/** @throws {FormatError} when the bytes are not UTF-8 */
export function textOf(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes); // drops a byte-order mark
  } catch (cause) {
    throw new FormatError(path, `Cannot read task "${path}": it is not UTF-8 text`, { cause });
  }
}

function parseCase({ line, value }: TaskRow, options: TaskDefaults & { path: string }): TaskCase {
  const { path } = options;
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
    without: raw.without === undefined ? undefined : [raw.without].flat(),
    score: raw.score === undefined ? undefined : resolve(dirname(path), raw.score),
    judge: raw.judge && besideTask(raw.judge, path),
  };
  const problem = problemOfPrompt(taskCase) ?? SCORERS[scorer].check(taskCase);
  if (problem !== undefined) throw lineError(path, line, problem);
  return taskCase;
}

/** A judge that is a file stands beside the task. */
function besideTask(judge: JudgeSettings, path: string): JudgeSettings {
  return judge.endpoint === undefined ? { ...judge, model: resolve(dirname(path), judge.model) } : judge;
}

/** Fields that only one scorer reads name that scorer. */
const SCORER_OF = {
  choices: "choice",
  schema: "json",
  pattern: "regex",
  tolerance: "numeric",
  labels: "label",
  constraints: "constraints",
  test: "code",
  score: "function",
  judge: "judge",
} as const satisfies Partial<Record<keyof TaskCase, ScorerName>>;

function scorerFor(raw: z.infer<typeof taskCaseSchema>): ScorerName | undefined {
  const field = (Object.keys(SCORER_OF) as (keyof typeof SCORER_OF)[]).find((key) => raw[key] !== undefined);
  return field && SCORER_OF[field];
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
  if (issue.code === "unrecognized_keys" && issue.path.length === 0) {
    const known = Object.keys(taskCaseSchema.shape).join(", ");
    return `the field "${issue.keys[0]}" is unknown: there are ${known}`;
  }
  return `"${issue.path.join(".")}": ${issue.message}`;
}

/** The error of one line. */
export function lineError(path: string, line: number, problem: string, cause?: unknown): FormatError {
  return new FormatError(path, `Cannot read task "${path}": line ${line}: ${problem}`, { cause });
}
