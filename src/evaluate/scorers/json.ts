// The answer is JSON, follows a JSON Schema where one is given, and equals `expect` where that is given. Key order and
// white space don't count. Schemas are validated by ajv (drafts 7 and 2020-12); `format` is an annotation, not a test.
import { isDeepStrictEqual } from "node:util";
import { Ajv, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { messageOf } from "../../errors.js";
import type { TaskCase } from "../task.js";
import { quoted, type Score, type Scorer } from "./scorer.js";

export const json: Scorer = {
  name: "json",
  summary: "the answer is JSON that follows `schema`, and equals `expect` where given",
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
    const parsed = parse(answer);
    if ("problem" in parsed)
      return { value: 0, explanation: `the answer ${quoted(answer)} is no JSON: ${parsed.problem}` };
    const violation = taskCase.schema === undefined ? undefined : violationOf(taskCase.schema, parsed.value);
    if (violation !== undefined) return { value: 0, explanation: `the answer breaks the schema: ${violation}` };
    const expected = expectedValue(taskCase, baselineAnswer);
    if (expected === undefined || isDeepStrictEqual(parsed.value, expected.value)) return { value: 1 };
    return { value: 0, explanation: `the answer ${quoted(answer)} is not ${quoted(JSON.stringify(expected.value))}` };
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

/** A schema is compiled once: the same task is scored for many candidates. */
const validators = new WeakMap<object, ValidateFunction>();

function validator(schema: object | boolean): ValidateFunction {
  if (typeof schema === "boolean") return compile(schema);
  const known = validators.get(schema) ?? compile(schema);
  validators.set(schema, known);
  return known;
}

function compile(schema: object | boolean): ValidateFunction {
  const options = { strict: false, validateFormats: false, logger: false } as const;
  const draft = typeof schema === "object" && "$schema" in schema ? String(schema.$schema) : "2020-12";
  const ajv = draft.includes("draft-0") ? new Ajv(options) : new Ajv2020(options);
  return ajv.compile(schema);
}
