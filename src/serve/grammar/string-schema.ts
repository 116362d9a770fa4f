// Strings of a JSON Schema: lengths, formats, patterns.
import { jsonRule } from "./json-text.js";
import { patternExpression } from "./pattern.js";
import { type GrammarRules, repeated } from "./rules.js";
import { UnsupportedSchema } from "./unsupported-schema.js";

/** What is said of a string. */
export interface StringSchema {
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  format?: string;
}

const LENGTH_MAX = 1000; // repetitions that llama.cpp takes; an answer is then held to a shorter string than allowed

const DATE =
  '[1-9] [0-9]{3} "-" (("0" [13578] | "1" [02]) "-" ("0" [1-9] | [12] [0-9] | "3" [01]) | ("0" [469] | "11") "-" ("0" [1-9] | [12] [0-9] | "30") | "02-" ("0" [1-9] | "1" [0-9] | "2" [0-8]))';
const CLOCK =
  '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{1,6})? ("Z" | [+-] ("0" [0-9] | "1" [0-4]) ":" [0-5] [0-9])';
const BYTE = '("25" [0-5] | "2" [0-4] [0-9] | "1" [0-9] [0-9] | [1-9]? [0-9])';
const LABEL = "[a-z0-9] ([a-z0-9-]{0,20} [a-z0-9])?";

/** Formats that are held to; dates leave out 29 February. */
export const FORMATS: Readonly<Record<string, string>> = {
  date: DATE,
  time: CLOCK,
  "date-time": `${DATE} "T" ${CLOCK}`,
  duration: '"P" ([0-9]{1,4} "D" ("T" [0-9]{1,4} [HMS])? | "T" [0-9]{1,4} [HMS] | [0-9]{1,4} [WMY])',
  uuid: '[0-9a-f]{8} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{4} "-" [0-9a-f]{12}',
  ipv4: `${BYTE} "." ${BYTE} "." ${BYTE} "." ${BYTE}`,
  ipv6: '([0-9a-f]{1,4} ":"){7} [0-9a-f]{1,4}',
  hostname: `${LABEL} ("." ${LABEL}){1,3}`,
  email: `[a-z0-9] ([a-z0-9._+-]{0,20} [a-z0-9])? "@" ${LABEL} ("." ${LABEL}){1,3}`,
  uri: `("https" | "http") "://" ${LABEL} ("." ${LABEL}){1,3} ("/" [a-zA-Z0-9._~-]{1,30}){0,6} "/"?`,
};

/**
 * A JSON string that a schema allows.
 *
 * @throws {UnsupportedSchema} when that can't be said
 */
export function stringExpression(rules: GrammarRules, schema: StringSchema, pointer: string): string {
  const { minLength = 0, maxLength = Infinity, pattern, format } = schema;
  const hasLength = minLength > 0 || maxLength < Infinity;
  if (minLength > maxLength)
    throw new UnsupportedSchema(pointer, `has minLength ${minLength} above maxLength ${maxLength}`);
  const told = [
    pattern !== undefined && "pattern",
    format !== undefined && "format",
    hasLength && "minLength or maxLength",
  ];
  const several = told.filter((name) => name !== false);
  if (several.length > 1)
    throw new UnsupportedSchema(pointer, `combines ${several.join(" with ")}`, "Keep one of them");
  if (pattern !== undefined) return `"\\"" ${patternExpression(pattern, pointer)} "\\""`;
  if (format !== undefined) return formatExpression(format, pointer);
  if (!hasLength) return jsonRule(rules, "string");
  if (minLength > LENGTH_MAX) throw new UnsupportedSchema(pointer, `has minLength ${minLength}, above ${LENGTH_MAX}`);
  const most = maxLength === Infinity ? maxLength : Math.min(maxLength, LENGTH_MAX);
  return `"\\"" ${repeated(jsonRule(rules, "character"), minLength, most)} "\\""`;
}

function formatExpression(format: string, pointer: string): string {
  const expression = Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
  if (expression !== undefined) return `"\\"" ${expression} "\\""`;
  const known = Object.keys(FORMATS).join(", ");
  throw new UnsupportedSchema(pointer, `has the format "${format}", which can't be enforced`, `Formats are ${known}`);
}
