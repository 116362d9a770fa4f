// Pieces of JSON's own grammar. An answer may write one space after a comma or a colon, and no other: a small model could go on
// with white space for ever. Escapes of lone surrogates are left out, since those are no text.
import type { GrammarRules } from "./rules.js";

/** Rules that others refer to; each is defined with what it needs. */
export const JSON_RULES = {
  ws: '" "?',
  hex: "[0-9a-fA-F]",
  character: '[^"\\\\\\x00-\\x1F\\x7F] | "\\\\" (["\\\\/bfnrt] | "u" ([0-9a-cA-Ce-fE-F] hex{3} | [dD] [0-7] hex{2}))',
  string: '"\\"" character* "\\""',
  integer: '"-"? ("0" | [1-9] [0-9]{0,14})',
  number: '"-"? ("0" | [1-9] [0-9]{0,14}) ("." [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?',
  boolean: '"true" | "false"',
  null: '"null"',
  value: "object | array | string | number | boolean | null",
  object: '"{" (string ":" ws value ("," ws string ":" ws value)*)? "}"',
  array: '"[" (value ("," ws value)*)? "]"',
} as const;

export type JsonRule = keyof typeof JSON_RULES;

const NEEDS: Partial<Record<JsonRule, readonly JsonRule[]>> = {
  character: ["hex"],
  string: ["character"],
  value: ["object", "array", "string", "number", "boolean", "null"],
  object: ["ws", "string", "value"],
  array: ["ws", "value"],
};

/** Defines a rule of JSON's grammar where it is not yet. @returns its name */
export function jsonRule(rules: GrammarRules, name: JsonRule): string {
  if (!rules.has(name)) {
    rules.define(name, JSON_RULES[name]);
    for (const needed of NEEDS[name] ?? []) jsonRule(rules, needed);
  }
  return name;
}
