// Reads the repository's Markdown as far as tests ask: which pages there are, their headings' anchors, links and code blocks.
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** Root of the repository. */
export const ROOT = fileURLToPath(new URL("../", import.meta.url));

const NOT_OURS = new Set(["node_modules", "dist", "out"]);

/** A page with its text, by its path from the root. */
export interface Page {
  path: string;
  text: string;
}

/** Every Markdown page of the repository. */
export function pages(folder = ROOT): Page[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) || entry.name.startsWith(".") ? [] : pages(path);
    if (!entry.name.endsWith(".md")) return [];
    return [{ path: relative(ROOT, path), text: readFileSync(path, "utf8") }];
  });
}

/** Targets of the page's links, code left out: `[text](target)`. */
export function linksOf({ text }: Page): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, "").replace(/`[^`\n]*`/g, "code");
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1]!);
}

/** The anchors that GitHub gives the page's headings. */
export function anchorsOf({ text }: Page): Set<string> {
  const anchors = new Set<string>();
  const prose = text.replace(/^```[\s\S]*?^```$/gm, "");
  for (const [, heading] of prose.matchAll(/^#{1,6} (.+)$/gm)) {
    const anchor = heading!
      .trim()
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(" ", "-");
    let unique = anchor;
    for (let i = 1; anchors.has(unique); i++) unique = `${anchor}-${i}`;
    anchors.add(unique);
  }
  return anchors;
}

/** Contents of the page's code blocks in a language. */
export function blocksOf({ text }: Page, language: string): string[] {
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter((match) => match[1] === language)
    .map((match) => match[2]!);
}

/**
 * Command lines of a shell block as words. Pipes, lists and redirections end a command; comments, `VARIABLE=value` and quotes are
 * taken off. Only as much shell as the pages use.
 */
export function commandsOf(block: string): string[][] {
  const lines = block.replaceAll("\\\n", " ").split("\n");
  return lines.flatMap((line) => {
    const commands: string[][] = [[]];
    for (const [, single, double, bare] of line.matchAll(/'([^']*)'|"([^"]*)"|((?:\\.|[^\s'"])+)/g)) {
      if (bare?.startsWith("#")) break;
      if (bare !== undefined && /^(\|\|?|&&|;|[0-9]?>{1,2}.*|<.*)$/.test(bare)) commands.push([]);
      else commands.at(-1)!.push(single ?? double ?? bare!);
    }
    return commands
      .map((words) => words.slice(words.findIndex((word) => !/^[A-Z_]+=/.test(word))))
      .filter((words) => words.length > 0);
  });
}
