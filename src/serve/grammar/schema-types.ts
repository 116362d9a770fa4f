// Which types of values a schema speaks of.
import type { Schema } from "./merge-schemas.js";
import { UnsupportedSchema } from "./unsupported-schema.js";

const TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"] as const;
/** JSON Schema's types. */
export type TypeName = (typeof TYPES)[number];

/** True for a schema that is an object. */
export function isSchema(schema: unknown): schema is Schema {
  return typeof schema === "object" && schema !== null && !Array.isArray(schema);
}

/** Types that a schema names, or that its keywords speak of; all where there are none. */
export function typesOf(schema: Schema, pointer: string): TypeName[] {
  const named = schema["type"];
  if (named !== undefined) {
    const types = [named].flat() as TypeName[];
    const stranger = types.find((type) => !TYPES.includes(type));
    if (stranger === undefined && types.length > 0) return types;
    throw new UnsupportedSchema(
      pointer,
      `has the type ${JSON.stringify(stranger ?? types)}`,
      `Types are ${TYPES.join(", ")}`,
    );
  }
  const speaksOf = (...keywords: string[]): boolean => keywords.some((keyword) => schema[keyword] !== undefined);
  if (speaksOf("properties", "required", "additionalProperties")) return ["object"];
  if (speaksOf("items", "prefixItems", "minItems", "maxItems")) return ["array"];
  if (speaksOf("minLength", "maxLength", "pattern", "format")) return ["string"];
  if (speaksOf("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")) return ["number"];
  return ["object", "array", "string", "number", "boolean", "null"];
}
