// The answer is JSON, follows a JSON Schema where one is given, and equals `expect` where that is given. Key order and
// white space don't count, nor a code fence around it. Each field of an object is also scored on its own. Schemas are validated by ajv (drafts 7 and 2020-12); `format` is an annotation, not a test.
import { isDeepStrictEqual } from "node:util";
import { Ajv, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { messageOf } from "../../errors.js";
import type { TaskCase } from "../task.js";
import { quoted, type Score, type Scorer } from "./scorer.js";

export const json: Scorer = {
  name: "json",
  summary: "the answer is JSON that follows `schema`, and equals `expect` where given; with `partial`, field by field",
  check(taskCase) {
    if (taskCase.schema === undefined) return undefined;
    try {
      validator(taskCase.schema);
      return undefined;
    } catch (error) {
      return `the schema is invalid: ${messageOf(error)}`;
    }
  },
  needsBaseline: (taskCase) => taskCase.expect === undefined && taskCase.schema === undefined,
  score(answer, taskCase, baselineAnswer): Score {
    const expected = expectedValue(taskCase, baselineAnswer);
    const parsed = parse(withoutFence(answer));
    if ("problem" in parsed) {
      const parts = partsOf(undefined, expected?.value);
      return { value: 0, explanation: `the answer ${quoted(answer)} is no JSON: ${parsed.problem}`, ...parts };
    }
    const parts = partsOf(parsed.value, expected?.value);
    const violation = taskCase.schema === undefined ? undefined : violationOf(taskCase.schema, parsed.value);
    if (violation !== undefined) {
      return { value: 0, explanation: `the answer breaks the schema: ${violation}`, ...parts };
    }
    if (expected === undefined || isDeepStrictEqual(parsed.value, expected.value)) return { value: 1, ...parts };
    const explanation = `the answer ${quoted(answer)} is not ${quoted(JSON.stringify(expected.value))}`;
    return { value: taskCase.partial ? shareRight(parts.parts) : 0, explanation, ...parts };
  },
  expected(taskCase, baselineAnswer) {
    const expected = expectedValue(taskCase, baselineAnswer);
    return expected === undefined ? "JSON that follows the schema" : JSON.stringify(expected.value);
  },
};

/** `expect` may be the value or its JSON text; a text that is no JSON stands for itself. */
function expectedValue(taskCase: TaskCase, baselineAnswer?: string): { value: unknown } | undefined {
  const expect = taskCase.expect ?? (json.needsBaseline(taskCase) ? baselineAnswer : undefined);
  if (typeof expect !== "string") return expect === undefined ? undefined : { value: expect };
  const parsed = parse(expect);
  return "problem" in parsed ? { value: expect } : parsed;
}

/** What is between the marks, where a whole answer is one fenced block. */
function withoutFence(answer: string): string {
  return /^\s*```(?:json)?\s*\n(.*)\n\s*```\s*$/su.exec(answer)?.[1] ?? answer;
}

/** Whether each field is what it should be: those that are expected, and those that are there and are not. */
function partsOf(value: unknown, expected: unknown): { parts?: Record<string, number> } {
  if (typeof expected !== "object" || expected === null) return {};
  const [found, wanted] = [new Map(leavesOf(value)), new Map(leavesOf(expected))];
  const parts = [...new Set([...wanted.keys(), ...found.keys()])].map((path): [string, number] => {
    const isRight = found.has(path) && wanted.has(path) && isDeepStrictEqual(found.get(path), wanted.get(path));
    return [path, Number(isRight)];
  });
  return { parts: Object.fromEntries(parts) };
}

/** Every value that holds no others, with its path: `address.city`, `items[0]`. */
function leavesOf(value: unknown, path = ""): [string, unknown][] {
  if (typeof value !== "object" || value === null) return [[path, value]];
  const entries = Array.isArray(value)
    ? value.map((item, index): [string, unknown] => [`${path}[${index}]`, item])
    : Object.entries(value).map(([key, item]): [string, unknown] => [path === "" ? key : `${path}.${key}`, item]);
  return entries.length === 0 ? [[path, value]] : entries.flatMap(([at, item]) => leavesOf(item, at));
}

function shareRight(parts: Record<string, number> = {}): number {
  const values = Object.values(parts);
  return values.length === 0 ? 0 : values.reduce((a, b) => a + b, 0) / values.length;
}

function parse(text: string): { value: unknown } | { problem: string } {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

function violationOf(schema: object | boolean, value: unknown): string | undefined {
  const validate = validator(schema);
  if (validate(value)) return undefined;
  const { instancePath = "", message = "is not valid" } = validate.errors?.[0] ?? {};
  return `${instancePath === "" ? "it" : quoted(instancePath)} ${message}`;
}

/** A schema is compiled once, however many cases have it: that takes longer than to read thousands of cases. */
const validators = new Map<string, ValidateFunction>();
const VALIDATORS_MAX = 1000;

function validator(schema: object | boolean): ValidateFunction {
  const key = JSON.stringify(schema);
  const known = validators.get(key) ?? compile(schema);
  if (validators.size >= VALIDATORS_MAX) validators.clear(); // a task with a schema for each case
  validators.set(key, known);
  return known;
}

function compile(schema: object | boolean): ValidateFunction {
  const options = { strict: false, validateFormats: false, logger: false } as const;
  const draft = typeof schema === "object" && "$schema" in schema ? String(schema.$schema) : "2020-12";
  const ajv = draft.includes("draft-0") ? new Ajv(options) : new Ajv2020(options);
  return ajv.compile(schema);
}
