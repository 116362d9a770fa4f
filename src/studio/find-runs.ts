// Which runs there are: every fit writes its journal to `.pare/<id>/journal.jsonl` in its output folder.
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

import { sha256 } from "../support/files.js";
import type { RunPlace } from "./run-view.js";

/**
 * The runs of some folders: of each itself, where it is an output folder, and of those directly in it.
 *
 * @returns the newest first
 */
export async function findRuns(folders: readonly string[]): Promise<RunPlace[]> {
  const outputs = (await Promise.all(folders.map(outputFolders))).flat();
  const places = (await Promise.all([...new Set(outputs)].map(runsIn))).flat();
  return places.sort((a, b) => b.changedAt - a.changedAt);
}

async function outputFolders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const below = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith("."));
  return [folder, ...below.map(({ name }) => join(folder, name))];
}

async function runsIn(folder: string): Promise<(RunPlace & { changedAt: number })[]> {
  const work = join(folder, ".pare");
  const runs: (RunPlace & { changedAt: number })[] = [];
  for (const name of await readdir(work).catch(() => [])) {
    const journal = join(work, name, "journal.jsonl");
    const found = await stat(journal).catch(() => undefined);
    if (found?.isFile()) runs.push({ id: sha256(journal).slice(0, 12), folder, journal, changedAt: found.mtimeMs });
  }
  return runs;
}
