// Writes what is generated from the source: docs/cli.md from the command tree, docs/json.md and schemas/ from the schemas
// of the --json documents. With --check nothing is written, and a difference is a failure.
//
//   npm run build && npm run docs
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";

import { cliReference } from "./docs/cli-reference.mjs";
import { jsonReference } from "./docs/json-reference.mjs";

const root = new URL("../", import.meta.url);
const { createProgram } = await import(new URL("dist/cli/program.js", root));
const { DOCUMENTS, documentSchema } = await import(new URL("dist/cli/schemas.js", root));

const schemas = Object.fromEntries(Object.keys(DOCUMENTS).map((name) => [name, documentSchema(name)]));
const pages = {
  "docs/cli.md": await cliReference(createProgram(), root),
  "docs/json.md": jsonReference(schemas),
  ...Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [
      `schemas/${name}.schema.json`,
      `${JSON.stringify(schema, null, 2)}\n`,
    ]),
  ),
};
const stale = readdirSync(new URL("schemas/", root))
  .map((name) => `schemas/${name}`)
  .filter((path) => path.endsWith(".json") && !(path in pages));

if (process.argv.includes("--check")) check();
else write();

function check() {
  const drifted = Object.entries(pages).filter(([path, text]) => readOrEmpty(path) !== text);
  for (const [path] of drifted) console.error(`${path} is not what the source says`);
  for (const path of stale) console.error(`${path} belongs to no document`);
  if (drifted.length + stale.length === 0) return;
  console.error("Run: npm run build && npm run docs");
  process.exitCode = 1;
}

function write() {
  mkdirSync(new URL("schemas/", root), { recursive: true });
  for (const [path, text] of Object.entries(pages)) writeFileSync(new URL(path, root), text);
  for (const path of stale) console.error(`${path} belongs to no document; remove it`);
}

function readOrEmpty(path) {
  try {
    return readFileSync(new URL(path, root), "utf8").replaceAll("\r\n", "\n");
  } catch {
    return "";
  }
}
