// Whether two schemas can't both hold: by their types, by the values that they list, or by a property that both require.
import { isDeepStrictEqual } from "node:util";

import type { Schema } from "./merge-schemas.js";
import { isSchema, typesOf } from "./schema-types.js";
import { UnsupportedSchema } from "./unsupported-schema.js";

/** Exactly one of `oneOf` must hold, which a grammar can promise only where no two can. */
export function requireDistinct(branches: readonly unknown[], pointer: string): void {
  for (let i = 0; i < branches.length; i++) {
    for (let j = 0; j < i; j++) {
      if (areDistinct(branches[i], branches[j], pointer)) continue;
      throw new UnsupportedSchema(
        pointer,
        `has "oneOf" with branches ${j} and ${i} that one value may meet both`,
        'Use "anyOf"',
      );
    }
  }
}

function areDistinct(a: unknown, b: unknown, pointer: string): boolean {
  if (!isSchema(a) || !isSchema(b)) return false;
  const [first, second] = [valuesOf(a), valuesOf(b)];
  if (first && second) return !first.some((value) => second.some((other) => isDeepStrictEqual(value, other)));
  if (typesAreDistinct(a, b, pointer)) return true;
  if (![a, b].some(isOfObjects)) return false; // what is no object has no property that could tell
  const properties = [a, b].map((schema) => (schema["properties"] ?? {}) as Schema);
  const required = [a, b].map((schema) => (schema["required"] ?? []) as string[]);
  return required[0]!.some((name) => {
    if (!required[1]!.includes(name)) return false;
    const [one, other] = properties.map((all) => all[name]);
    return isSchema(one) && isSchema(other) && areDistinct(one, other, pointer);
  });
}

function typesAreDistinct(a: Schema, b: Schema, pointer: string): boolean {
  if (a["type"] === undefined || b["type"] === undefined) return false;
  const wide = (schema: Schema): string[] =>
    typesOf(schema, pointer).map((type) => (type === "integer" ? "number" : type));
  return !wide(a).some((type) => wide(b).includes(type));
}

function isOfObjects({ type }: Schema): boolean {
  return [type].flat().every((one) => one === "object");
}

/** Values of `const` or `enum`. */
function valuesOf(schema: Schema): unknown[] | undefined {
  if (schema["const"] !== undefined) return [schema["const"]];
  return Array.isArray(schema["enum"]) ? schema["enum"] : undefined;
}
