// Whether two schemas can't both hold: by their types, by the values that they list, or by a property that both require.
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
  if (first && second) return !first.some((value) => second.includes(value));
  if (typesAreDistinct(a, b, pointer)) return true;
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

/** Values of `const` or `enum` as JSON. */
function valuesOf(schema: Schema): string[] | undefined {
  if (schema["const"] !== undefined) return [JSON.stringify(schema["const"])];
  return Array.isArray(schema["enum"]) ? schema["enum"].map((value) => JSON.stringify(value)) : undefined;
}
