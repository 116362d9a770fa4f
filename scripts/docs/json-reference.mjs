// docs/json.md: every document that --json prints, field by field, from the JSON Schemas.
import { table } from "./cli-reference.mjs";

/** Renders the page from the schemas by name. */
export function jsonReference(schemas) {
  const sections = Object.entries(schemas).map(([name, schema]) => documentSection(name, schema));
  return `# JSON documents

With \`--json\` a command prints exactly one JSON document on standard output; progress and remarks go to standard
error. Each document has a JSON Schema in the package: \`pare/schemas/<name>.schema.json\`. Fields keep their names and
meanings from version to version; new ones may be added, so ignore what you do not know. Numbers that do not exist are
\`null\`. Sizes are bytes, times are seconds, shares are 0 to 1.

This page is generated from the schemas (\`npm run docs\`).

${sections.join("\n\n")}
`;
}

function documentSection(name, schema) {
  const rows = fields(schema, "");
  return [
    `## ${name}`,
    `${schema.description ?? ""} ([schema](../schemas/${name}.schema.json))`,
    table(["field", "type", "meaning"], rows),
  ].join("\n\n");
}

/** One row per field, nested ones with their path. */
function fields(schema, prefix) {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const { inner, suffix } = unwrap(field);
    const path = `${prefix}${name}${suffix}`;
    const isOptional = !(schema.required ?? []).includes(name);
    const row = [`\`${path}\``, `${typeOf(field)}${isOptional ? ", optional" : ""}`, field.description ?? ""];
    return [row, ...fields(inner, `${path}.`)];
  });
}

/** What a list holds, and what a value is when it is not null. */
function unwrap(field) {
  if (field.type === "array") return { ...unwrap(field.items), suffix: "[]" };
  const variants = (field.anyOf ?? []).filter((variant) => variant.type !== "null");
  return { inner: variants.length === 1 ? variants[0] : field, suffix: "" };
}

function typeOf(field) {
  if (field.const !== undefined) return `\`${JSON.stringify(field.const)}\``;
  if (field.enum) return field.enum.map((value) => `\`${value}\``).join(" or ");
  if (field.anyOf) return field.anyOf.map(typeOf).join(" or ");
  if (field.type === "array") return `list of ${typeOf(field.items)}`;
  if (field.type === "object" && !field.properties && typeof field.additionalProperties === "object") {
    return `object of ${typeOf(field.additionalProperties) || "anything"}`;
  }
  return Array.isArray(field.type) ? field.type.join(" or ") : (field.type ?? "anything");
}
