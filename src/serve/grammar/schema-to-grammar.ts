// A JSON Schema as a GBNF grammar: every text of the grammar is JSON that the schema allows. The other way does not hold: an
// answer writes an object's properties in the schema's order, no white space but one space after commas and colons, and
// properties that no keyword speaks of only where `additionalProperties` asks for them.
//
// What a grammar can't say is refused by name, never left out in silence.
import { Ajv2020 } from "ajv/dist/2020.js";

import { integerRange, type NumberBounds, numberRange } from "./decimal-range.js";
import { jsonRule } from "./json-text.js";
import { mergeSchemas, type Schema } from "./merge-schemas.js";
import { otherKey } from "./other-key.js";
import { alternatives, GrammarRules, literal, repeated } from "./rules.js";
import { stringExpression, type StringSchema } from "./string-schema.js";
import { requireDistinct } from "./distinct-schemas.js";
import { isSchema, type TypeName, typesOf } from "./schema-types.js";
import { UnsupportedSchema } from "./unsupported-schema.js";

const ANNOTATIONS = new Set(
  "$schema $id $comment $defs definitions title description default examples deprecated readOnly writeOnly".split(" "),
);
const KEYWORDS = new Set(
  [
    "type enum const anyOf oneOf allOf $ref",
    "properties required additionalProperties items prefixItems minItems maxItems",
    "minLength maxLength pattern format minimum maximum exclusiveMinimum exclusiveMaximum",
  ].flatMap((line) => line.split(" ")),
);
/** Values with which a keyword asks for nothing. */
const MEANINGLESS: Readonly<Record<string, unknown>> = {
  uniqueItems: false,
  multipleOf: 1,
  minProperties: 0,
  nullable: false,
  unevaluatedProperties: true,
};
const REPETITIONS_MAX = 1000; // llama.cpp refuses grammars with many more
const DEPTH_MAX = 64; // of schemas in schemas
const SCHEMAS_MAX = 5000;
const NAME_LENGTH_MAX = 256;
const GRAMMAR_LENGTH_MAX = 1 << 20;

/**
 * Turns a JSON Schema (draft 2020-12, and what older drafts share with it) into a grammar.
 *
 * @returns GBNF whose root is a JSON text
 * @throws {UnsupportedSchema} naming what can't be enforced, or why no value meets the schema
 */
export function schemaToGrammar(schema: unknown): string {
  const rules = new GrammarRules();
  addSchema(rules, schema, "root");
  const grammar = rules.text();
  if (grammar.length <= GRAMMAR_LENGTH_MAX) return grammar;
  throw new UnsupportedSchema(
    "#",
    `is too large: its grammar has ${grammar.length} characters, above ${GRAMMAR_LENGTH_MAX}`,
  );
}

/** Adds a schema's rules to a grammar under a name; other rules may refer to it. */
export function addSchema(rules: GrammarRules, schema: unknown, name: string): void {
  requireValid(schema);
  rules.define(name, ""); // stands first
  rules.define(name, new Conversion(rules, schema).expression(schema, "#", 0));
}

/** Any JSON object. */
export function anyObjectGrammar(): string {
  const rules = new GrammarRules();
  rules.define("root", "");
  rules.define("root", jsonRule(rules, "object"));
  return rules.text();
}

/** Keywords have the kinds of values that they must have; what is checked here, the conversion relies on. */
function requireValid(schema: unknown): void {
  const ajv = new Ajv2020({ strict: false, validateFormats: false, logger: false });
  if (typeof schema !== "object" || schema === null)
    throw new UnsupportedSchema("#", "is no schema: it must be an object");
  if (ajv.validateSchema({ ...schema, $schema: undefined })) return;
  const { instancePath = "", message = "" } = ajv.errors?.[0] ?? {};
  throw new UnsupportedSchema(`#${instancePath}`, `is no valid JSON Schema of draft 2020-12: it ${message}`);
}

class Conversion {
  readonly #rules: GrammarRules;
  readonly #document: unknown;
  readonly #references = new Map<string, string>();
  #count = 0;

  constructor(rules: GrammarRules, document: unknown) {
    this.#rules = rules;
    this.#document = document;
  }

  expression(schema: unknown, pointer: string, depth: number): string {
    if (depth > DEPTH_MAX) throw new UnsupportedSchema(pointer, `is nested more than ${DEPTH_MAX} deep`);
    if (++this.#count > SCHEMAS_MAX) throw new UnsupportedSchema(pointer, `is larger than ${SCHEMAS_MAX} schemas`);
    if (schema === true) return jsonRule(this.#rules, "value");
    if (schema === false) throw new UnsupportedSchema(pointer, "allows no value");
    const known = checkKeywords(schema, pointer);
    if (known["$ref"] !== undefined) return this.#reference(known, pointer, depth);
    if (known["allOf"] !== undefined) return this.#all(known, pointer, depth);
    if (known["enum"] !== undefined || known["const"] !== undefined) return this.#values(known, pointer);
    for (const keyword of ["anyOf", "oneOf"] as const) {
      if (known[keyword] !== undefined) return this.#choices(known, keyword, pointer, depth);
    }
    return alternatives(typesOf(known, pointer).map((type) => this.#typed(type, known, pointer, depth)));
  }

  #typed(type: TypeName, schema: Schema, pointer: string, depth: number): string {
    if (type === "object") return this.#object(schema, pointer, depth);
    if (type === "array") return this.#array(schema, pointer, depth);
    if (type === "string") return stringExpression(this.#rules, schema as StringSchema, pointer);
    if (type === "number" || type === "integer") return this.#number(type, schema as NumberBounds, pointer);
    return jsonRule(this.#rules, type);
  }

  #number(type: "number" | "integer", schema: NumberBounds, pointer: string): string {
    const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
    const bounds = { minimum, maximum, exclusiveMinimum, exclusiveMaximum };
    const stranger = Object.values(bounds).find((bound) => bound !== undefined && typeof bound !== "number");
    if (stranger !== undefined) throw new UnsupportedSchema(pointer, "has a bound that is no number");
    if (Object.values(bounds).every((bound) => bound === undefined)) return jsonRule(this.#rules, type);
    const range = type === "integer" ? integerRange(bounds) : numberRange(bounds);
    if (range === undefined) throw new UnsupportedSchema(pointer, `has bounds between which there is no ${type}`);
    return range;
  }

  #array(schema: Schema, pointer: string, depth: number): string {
    const { minItems = 0, maxItems = Infinity } = schema as { minItems?: number; maxItems?: number };
    const fixed = (schema["prefixItems"] ?? []) as unknown[];
    const first = fixed
      .slice(0, maxItems)
      .map((one, i) => this.expression(one, `${pointer}/prefixItems/${i}`, depth + 1));
    const least = Math.max(0, minItems - first.length);
    const allowed = schema["items"] === false ? 0 : maxItems - first.length;
    if (least > Math.min(allowed, REPETITIONS_MAX))
      throw new UnsupportedSchema(pointer, `has minItems ${minItems}, more than can be`);
    const most = allowed === Infinity ? allowed : Math.min(allowed, REPETITIONS_MAX);
    if (most <= 0 || (first.length > 0 && schema["items"] === undefined && least === 0)) return bracketed(first);
    const item = this.expression(schema["items"] ?? true, `${pointer}/items`, depth + 1);
    const comma = `"," ${jsonRule(this.#rules, "ws")}`;
    if (first.length > 0) return bracketed([...first], comma, repeated(`${comma} ${item}`, least, most));
    const several = `${item} ${repeated(`${comma} ${item}`, Math.max(0, least - 1), most - 1)}`;
    return `"[" ${least === 0 ? `(${several})?` : several} "]"`;
  }

  #object(schema: Schema, pointer: string, depth: number): string {
    const properties = (schema["properties"] ?? {}) as Schema;
    const required = (schema["required"] ?? []) as string[];
    const additional = schema["additionalProperties"];
    if (Object.keys(properties).length === 0 && required.length === 0 && additional === undefined)
      return jsonRule(this.#rules, "object");
    const missing = required.filter((name) => !Object.hasOwn(properties, name));
    if (missing.length > 0 && additional === false) {
      throw new UnsupportedSchema(pointer, `requires "${missing[0]}", which "additionalProperties" forbids`);
    }
    const all: [string, unknown][] = [
      ...Object.entries(properties),
      ...missing.map((name): [string, unknown] => [name, additional ?? true]),
    ];
    const ws = jsonRule(this.#rules, "ws");
    const members = all
      .filter(([name, value]) => value !== false || required.includes(name))
      .map(([name, value]) => ({
        isRequired: required.includes(name),
        text: `${literal(JSON.stringify(name))} ":" ${ws} ${this.#named(value, `${pointer}/properties/${escapePointer(name)}`, depth)}`,
      }));
    const names = all.map(([name]) => name);
    const long = names.find((name) => name.length > NAME_LENGTH_MAX);
    if (long !== undefined) throw new UnsupportedSchema(pointer, `has a property name of ${long.length} characters`);
    const other =
      additional === undefined || additional === false
        ? undefined
        : `${otherKey(names)} ":" ${ws} ${this.#named(additional, `${pointer}/additionalProperties`, depth)}`;
    return `"{" ${this.#members(members, other)} "}"`;
  }

  /** Members in order, of which some may be left out: two rules for each, one for the first to be written and one for later ones. */
  #members(members: readonly { isRequired: boolean; text: string }[], other: string | undefined): string {
    const comma = `"," ${jsonRule(this.#rules, "ws")}`;
    let later = other === undefined ? '""' : repeated(`${comma} ${other}`, 0, Infinity);
    let first = other === undefined ? '""' : `(${other} ${later})?`;
    for (const { isRequired, text } of [...members].reverse()) {
      const rest = this.#rules.define(this.#rules.reserve("rest"), later);
      const begin = isRequired ? "" : this.#rules.define(this.#rules.reserve("begin"), first);
      first = isRequired ? `${text} ${rest}` : `(${text} ${rest} | ${begin})`;
      later = isRequired ? `${comma} ${text} ${rest}` : `(${comma} ${text} ${rest} | ${rest})`;
    }
    return first;
  }

  /** In a rule of its own, where it is long: it stands twice in its object. */
  #named(schema: unknown, pointer: string, depth: number): string {
    const body = this.expression(schema, pointer, depth + 1);
    return body.length < 24 ? body : this.#rules.define(this.#rules.reserve("member"), body);
  }

  #values(schema: Schema, pointer: string): string {
    const { enum: listed, const: only, ...rest } = schema;
    const values = only === undefined ? (listed as unknown[]) : [only];
    if (/"pattern"/.test(JSON.stringify(rest)))
      throw new UnsupportedSchema(pointer, "combines listed values with a pattern");
    const allows = compile(
      { ...rest, ...(only === undefined || listed === undefined ? {} : { enum: listed }) },
      this.#document,
      pointer,
    );
    const kept = values.filter((value) => allows(value));
    if (kept.length === 0) throw new UnsupportedSchema(pointer, "lists no value that the rest of it allows");
    return alternatives(kept.map((value) => literal(JSON.stringify(value))));
  }

  #choices(schema: Schema, keyword: "anyOf" | "oneOf", pointer: string, depth: number): string {
    const { [keyword]: branches, ...rest } = schema;
    if (!Array.isArray(branches) || branches.length === 0)
      throw new UnsupportedSchema(pointer, `has an empty "${keyword}"`);
    const resolved = branches.map((branch: unknown, i) => this.#resolved(branch, `${pointer}/${keyword}/${i}`));
    if (keyword === "oneOf") requireDistinct(resolved, pointer);
    const hasRest = Object.keys(rest).some((name) => !ANNOTATIONS.has(name));
    return alternatives(
      branches.map((branch: unknown, i) => {
        const at = `${pointer}/${keyword}/${i}`;
        if (!hasRest) return this.expression(branch, at, depth + 1);
        return this.expression(mergeSchemas(rest, checkKeywords(resolved[i], at), at), at, depth + 1);
      }),
    );
  }

  #all(schema: Schema, pointer: string, depth: number): string {
    const { allOf, ...rest } = schema;
    const merged = (allOf as unknown[]).reduce<Schema>(
      (sum, one, i) => mergeSchemas(sum, checkKeywords(this.#resolved(one, `${pointer}/allOf/${i}`), pointer), pointer),
      rest,
    );
    return this.expression(merged, pointer, depth + 1);
  }

  /** A rule for each target, so that schemas may contain themselves. */
  #reference({ $ref, ...rest }: Schema, pointer: string, depth: number): string {
    const target = lookUp(this.#document, $ref, pointer);
    if (Object.keys(rest).some((name) => !ANNOTATIONS.has(name))) {
      return this.expression(
        mergeSchemas(checkKeywords(this.#resolved(target, pointer), pointer), rest, pointer),
        pointer,
        depth + 1,
      );
    }
    const known = this.#references.get($ref as string);
    if (known !== undefined) return known;
    this.#resolved(target, pointer); // finds references that only lead to themselves
    const name = this.#rules.reserve("ref");
    this.#references.set($ref as string, name);
    return this.#rules.define(name, this.expression(target, $ref as string, depth + 1));
  }

  /** What a chain of references leads to. */
  #resolved(schema: unknown, pointer: string): unknown {
    const seen = new Set<unknown>();
    let current = schema;
    while (isSchema(current) && typeof current["$ref"] === "string") {
      if (seen.has(current)) throw new UnsupportedSchema(pointer, "refers to itself only");
      seen.add(current);
      const { $ref, ...rest } = current;
      const target = lookUp(this.#document, $ref, pointer);
      const isAlone = Object.keys(rest).every((name) => ANNOTATIONS.has(name));
      current = isAlone || !isSchema(target) ? target : mergeSchemas(target, rest, pointer);
    }
    return current;
  }
}

function bracketed(items: readonly string[], comma = '"," " "?', rest = ""): string {
  return `"[" ${items.join(` ${comma} `)} ${rest} "]"`;
}

/** @returns the schema without keywords that ask for nothing */
function checkKeywords(schema: unknown, pointer: string): Schema {
  if (schema === true) return {};
  if (!isSchema(schema)) throw new UnsupportedSchema(pointer, "is no schema: it must be an object or true");
  const entries = Object.entries(schema).filter(([keyword, value]) => {
    if (KEYWORDS.has(keyword)) return value !== undefined;
    const asksNothing = Object.hasOwn(MEANINGLESS, keyword) && MEANINGLESS[keyword] === value;
    if (ANNOTATIONS.has(keyword) || keyword.startsWith("x-") || asksNothing) return false;
    throw new UnsupportedSchema(
      pointer,
      `has "${keyword}", which can't be enforced`,
      `Keywords are ${[...KEYWORDS].join(", ")}`,
    );
  });
  return Object.fromEntries(entries);
}

/** Only within the schema itself: nothing is fetched. */
function lookUp(document: unknown, reference: unknown, pointer: string): unknown {
  const missing = (): never => {
    throw new UnsupportedSchema(pointer, `refers to ${JSON.stringify(reference)}, which it does not define`);
  };
  if (typeof reference !== "string" || !reference.startsWith("#")) return missing();
  let at: unknown = document;
  for (const part of reference.slice(1).split("/").slice(1)) {
    const key = part
      .replace(/%[0-9a-f]{2}/gi, decodeEscape)
      .replaceAll("~1", "/")
      .replaceAll("~0", "~");
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return missing();
    at = (at as Record<string, unknown>)[key];
  }
  return at;
}

/** `%7B` and the like; a lone byte of a longer character stays as it is. */
function decodeEscape(escape: string): string {
  const code = parseInt(escape.slice(1), 16);
  return code < 0x80 ? String.fromCharCode(code) : escape;
}

function escapePointer(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}

/** Says which of listed values the rest of a schema allows. */
function compile(schema: Schema, document: unknown, pointer: string): (value: unknown) => boolean {
  try {
    const definitions = isSchema(document)
      ? { $defs: document["$defs"] ?? {}, definitions: document["definitions"] ?? {} }
      : {};
    const validate = new Ajv2020({ strict: false, validateFormats: false, logger: false }).compile({
      ...definitions,
      ...schema,
    });
    return (value) => validate(value) as boolean;
  } catch (cause) {
    throw new UnsupportedSchema(pointer, `is no valid schema: ${(cause as Error).message}`);
  }
}
