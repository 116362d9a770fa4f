// The rules that keep the source readable, checked on the source itself.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

const SOURCE = fileURLToPath(new URL("../src/", import.meta.url));

// A folder or file imports only from itself and from what stands above it.
const ORDER = [
  "support",
  "errors.ts",
  "native",
  "formats",
  "hub",
  "model",
  "cost",
  "convert",
  "graph",
  "calibrate",
  "evaluate",
  "train",
  "vocabulary",
  "passes",
  "curate",
  "fit",
  "report",
  "compare",
  "serve",
  "studio",
  "export",
  "doctor.ts",
  "index.ts",
  "cli",
];
// Two that lean on each other by design: errors are raised in support, and quote sizes as support writes them.
const TOGETHER = new Set(["support", "errors.ts"]);
const LINES_MAX = 400;

const files = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => ({ path: path.split(sep).join("/"), text: readFileSync(join(SOURCE, path), "utf8") }));
const written = files.filter(({ path }) => !path.endsWith(".gen.ts"));
const shipped = written.filter(({ path }) => !/\.test(-d)?\.ts$/.test(path));

test("every file of src/ stands in a known folder", () => {
  const unknown = files.map(({ path }) => part(path)).filter((name) => !ORDER.includes(name));
  expect(unknown).toEqual([]);
});

test("imports point only upwards in the folder order", () => {
  const downward = shipped.flatMap(({ path, text }) =>
    relativeImports(path, text)
      .filter((target) => ORDER.indexOf(part(target)) > ORDER.indexOf(part(path)))
      .filter((target) => !(TOGETHER.has(part(path)) && TOGETHER.has(part(target))))
      .map((target) => `${path} imports ${target}`),
  );
  expect(downward).toEqual([]);
});

test("only native/ imports koffi", () => {
  const others = shipped.filter(({ path, text }) => part(path) !== "native" && packages(text).includes("koffi"));
  expect(others.map(({ path }) => path)).toEqual([]);
});

test("nothing is exported as default", () => {
  expect(written.filter(({ text }) => /^export default\b/m.test(text)).map(({ path }) => path)).toEqual([]);
});

test(`no file but generated ones is longer than ${LINES_MAX} lines`, () => {
  const long = written.filter(({ text }) => text.split("\n").length > LINES_MAX);
  expect(long.map(({ path, text }) => `${path}: ${text.split("\n").length}`)).toEqual([]);
});

test("every file begins by saying what it is", () => {
  const silent = shipped.filter(({ text }) => !/^(#!.*\n)?\/\//.test(text));
  expect(silent.map(({ path }) => path)).toEqual([]);
});

test("the command starts without schemas, engine or report", () => {
  const reached = new Set<string>();
  const visit = (path: string): void => {
    if (reached.has(path)) return;
    reached.add(path);
    const { text } = files.find((file) => file.path === path)!;
    for (const target of staticImports(path, text)) visit(target);
  };
  visit("cli/main.ts");
  const texts = files.filter(({ path }) => reached.has(path));
  expect(
    texts.flatMap(({ text }) => packages(text, { staticOnly: true })).filter((name) => name !== "commander"),
  ).toEqual([]);
  expect(
    [...reached].filter((path) => ["native", "report", "compare", "fit", "evaluate"].includes(part(path))),
  ).toEqual([]);
});

function part(path: string): string {
  return path.split("/")[0]!;
}

/** Targets of relative imports, types and lazy ones included, as paths below src/. */
function relativeImports(path: string, text: string): string[] {
  return specifiers(text)
    .filter(isRelative)
    .map((specifier) => resolved(path, specifier));
}

/** Targets of the relative imports that run when the file is loaded. */
function staticImports(path: string, text: string): string[] {
  return loadedSpecifiers(text)
    .filter(isRelative)
    .map((specifier) => resolved(path, specifier));
}

function packages(text: string, options: { staticOnly?: boolean } = {}): string[] {
  const all = options.staticOnly ? loadedSpecifiers(text) : specifiers(text);
  return all.filter((specifier) => !isRelative(specifier) && !specifier.startsWith("node:"));
}

function specifiers(text: string): string[] {
  const lazy = [...text.matchAll(/\bimport\(\s*"([^"]+)"\s*\)/g)].map((match) => match[1]!);
  const fixed = [...text.matchAll(/^(?:import|export)\b[^"';]*?from "([^"]+)"/gm)].map((match) => match[1]!);
  const bare = [...text.matchAll(/^import "([^"]+)"/gm)].map((match) => match[1]!);
  return [...fixed, ...bare, ...lazy];
}

function loadedSpecifiers(text: string): string[] {
  const fixed = [...text.matchAll(/^(?:import|export)(?! type\b)[^"';]*?from "([^"]+)"/gm)].map((match) => match[1]!);
  return [...fixed, ...[...text.matchAll(/^import "([^"]+)"/gm)].map((match) => match[1]!)];
}

function isRelative(specifier: string): boolean {
  return specifier.startsWith(".");
}

function resolved(path: string, specifier: string): string {
  const target = relative(SOURCE, join(SOURCE, dirname(path), specifier));
  return target.split(sep).join("/").replace(/\.js$/, ".ts");
}
