// Two schemas that both hold, as one: what `allOf` and keywords beside `$ref` or `anyOf` mean.
import { isDeepStrictEqual } from "node:util";

import { UnsupportedSchema } from "./unsupported-schema.js";

/** A JSON Schema that is an object. */
export type Schema = Readonly<Record<string, unknown>>;

const LARGER = new Set(["minimum", "exclusiveMinimum", "minLength", "minItems"]);
const SMALLER = new Set(["maximum", "exclusiveMaximum", "maxLength", "maxItems"]);

/**
 * Merges two schemas.
 *
 * @throws {UnsupportedSchema} when a keyword of both can't be merged, or no value can meet both
 */
export function mergeSchemas(a: Schema, b: Schema, pointer: string): Schema {
  requireKnownProperties(a, b, pointer);
  requireKnownProperties(b, a, pointer);
  requireKnownItems(a, b, pointer);
  requireKnownItems(b, a, pointer);
  const merged: Record<string, unknown> = { ...a };
  for (const [keyword, value] of Object.entries(b)) {
    merged[keyword] = Object.hasOwn(a, keyword) ? mergeKeyword(keyword, a[keyword], value, pointer) : value;
  }
  return merged;
}

function mergeKeyword(keyword: string, a: unknown, b: unknown, pointer: string): unknown {
  if (isDeepStrictEqual(a, b)) return a;
  if (LARGER.has(keyword)) return Math.max(a as number, b as number);
  if (SMALLER.has(keyword)) return Math.min(a as number, b as number);
  if (keyword === "type") return commonTypes(a, b, pointer);
  if (keyword === "enum")
    return (a as unknown[]).filter((one) => (b as unknown[]).some((other) => isDeepStrictEqual(one, other)));
  if (keyword === "required") return [...new Set([...(a as string[]), ...(b as string[])])];
  if (keyword === "properties") return mergeProperties(a as Schema, b as Schema);
  if (keyword === "items" || keyword === "additionalProperties") return both(a, b);
  if (keyword === "allOf") return [...(a as unknown[]), ...(b as unknown[])];
  throw new UnsupportedSchema(pointer, `has "${keyword}" twice, in schemas that both hold`);
}

/** Schemas may be booleans here. */
function both(a: unknown, b: unknown): unknown {
  if (a === true) return b;
  if (b === true) return a;
  return a === false || b === false ? false : { allOf: [a, b] };
}

function mergeProperties(a: Schema, b: Schema): Schema {
  const merged: Record<string, unknown> = { ...a };
  for (const [name, schema] of Object.entries(b))
    merged[name] = Object.hasOwn(a, name) ? both(a[name], schema) : schema;
  return merged;
}

function commonTypes(a: unknown, b: unknown, pointer: string): unknown {
  const first = [a].flat() as string[];
  const second = [b].flat() as string[];
  const common = new Set<string>();
  for (const type of first) {
    if (second.includes(type)) common.add(type);
    if (type === "number" && second.includes("integer")) common.add("integer");
    if (type === "integer" && second.includes("number")) common.add("integer");
  }
  if (common.size > 0) return [...common];
  throw new UnsupportedSchema(
    pointer,
    `wants the type ${first.join(" or ")} and the type ${second.join(" or ")} at once`,
  );
}

/** `additionalProperties` speaks of the properties beside it only, which a merge would change. */
function requireKnownProperties(a: Schema, b: Schema, pointer: string): void {
  if (a["additionalProperties"] === undefined || a["additionalProperties"] === true) return;
  const known = Object.keys((a["properties"] as Schema | undefined) ?? {});
  const strangers = Object.keys((b["properties"] as Schema | undefined) ?? {}).filter((name) => !known.includes(name));
  if (strangers.length === 0) return;
  throw new UnsupportedSchema(
    pointer,
    `has "additionalProperties" beside a schema with other properties (${strangers.join(", ")})`,
  );
}

/** `items` speaks of what comes after the `prefixItems` beside it only, which a merge would change. */
function requireKnownItems(a: Schema, b: Schema, pointer: string): void {
  if (a["items"] === undefined || a["items"] === true) return;
  const [own, others] = [a, b].map((schema) => ((schema["prefixItems"] ?? []) as unknown[]).length);
  if (others! <= own!) return;
  throw new UnsupportedSchema(pointer, 'has "items" beside a schema with more "prefixItems"');
}
