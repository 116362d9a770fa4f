// What the pages point at is there: files, headings, commands, options, exports.
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";

import { CommanderError } from "commander";
import { expect, test } from "vitest";

import { createProgram } from "../src/cli/program.js";
import * as library from "../src/index.js";
import { temporaryFolder } from "./command.js";
import { type Page, ROOT, anchorsOf, blocksOf, commandsOf, linksOf, pages } from "./markdown.js";

const PAGES = pages();

test("every relative link of every page leads to a file, and its anchor to a heading", () => {
  const broken = PAGES.flatMap((page) =>
    linksOf(page)
      .filter((target) => !/^[a-z]+:/.test(target))
      .flatMap((target) => problemOf(page, target) ?? []),
  );
  expect(broken).toEqual([]);
});

test("every page of docs/ is reachable from docs/README.md", () => {
  const index = PAGES.find(({ path }) => path === join("docs", "README.md"))!;
  const linked = new Set(linksOf(index).map((target) => join("docs", target.split("#")[0]!)));
  const all = PAGES.filter(({ path }) => dirname(path) === "docs" || dirname(path) === join("docs", "design"));
  expect(all.map(({ path }) => path).filter((path) => path !== index.path && !linked.has(path))).toEqual([]);
});

test("every pare command line of the pages is one that the command understands", async () => {
  const refused: string[] = [];
  let count = 0;
  for (const page of PAGES) {
    for (const words of blocksOf(page, "sh").flatMap(commandsOf)) {
      if (words[0] !== "pare") continue;
      count++;
      const refusal = await refusalOf(words.slice(1));
      if (refusal) refused.push(`${page.path}: ${words.join(" ")}: ${refusal}`);
    }
  }
  expect(refused).toEqual([]);
  expect(count).toBeGreaterThan(40); // else the blocks were not found
});

test("the pages' scripts import what the library exports, and parse", () => {
  using folder = temporaryFolder();
  const wrong = PAGES.flatMap((page) =>
    blocksOf(page, "js").flatMap((script, index) => {
      const imported = /import \{([^}]*)\} from "pare"/.exec(script)?.[1]?.split(",") ?? [];
      const unknown = imported.map((name) => name.trim()).filter((name) => name !== "" && !(name in library));
      const file = folder.path(`snippet-${index}.mjs`);
      writeFileSync(file, script.replaceAll("await using ", "const ")); // which Node 20 does not know
      const { status, stderr } = spawnSync(process.execPath, ["--check", file], { encoding: "utf8" });
      return [...unknown.map((name) => `${page.path}: ${name}`), ...(status === 0 ? [] : [`${page.path}: ${stderr}`])];
    }),
  );
  expect(wrong).toEqual([]);
});

function problemOf(page: Page, target: string): string | undefined {
  const [file = "", anchor] = target.split("#");
  const path = file === "" ? page.path : normalize(join(dirname(page.path), file));
  if (!existsSync(join(ROOT, path))) return `${page.path}: ${target} leads nowhere`;
  if (anchor === undefined) return undefined;
  const goal = PAGES.find((one) => one.path === relative(".", path));
  return goal && anchorsOf(goal).has(anchor) ? undefined : `${page.path}: ${target} has no such heading`;
}

/** Why the command line is refused, found by the parser itself with nothing performed; undefined when it is understood. */
async function refusalOf(words: readonly string[]): Promise<string | undefined> {
  const program = createProgram();
  for (const command of program.commands)
    command.action(() => undefined).configureOutput({ writeOut: () => undefined });
  try {
    await program.parseAsync(words, { from: "user" });
    return undefined;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? undefined : error.message;
    throw error;
  }
}
