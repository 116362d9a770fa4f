import { spawnSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";

import { LOCK } from "../fit/workspace.js";
import { FolderLock } from "../support/folder-lock.js";
import { findRuns } from "./find-runs.js";
import { readCases } from "./read-cases.js";
import { readRun } from "./run-view.js";

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true })));

const plan = {
  baseline: "model.gguf",
  task: "no-such-task.jsonl",
  keep: 0.9,
  minimize: "size",
  device: "board",
  candidates: [
    { id: "a", name: "q4_0", isBaseline: false, sizeBytes: 1, memoryBytes: 2 },
    { id: "b", name: "q8_0", isBaseline: false, sizeBytes: 2, memoryBytes: 3, misfit: "needs more" },
  ],
};

/** A run with these steps in its journal. */
async function runOf(...steps: [key: string, value: unknown][]) {
  const folder = mkdtempSync(join(tmpdir(), "pare-studio-"));
  folders.push(folder);
  const work = join(folder, "lean", ".pare", "one");
  mkdirSync(work, { recursive: true });
  const lines = steps.map(([key, value]) => `${JSON.stringify({ key, value, seconds: 2 })}\n`);
  writeFileSync(join(work, "journal.jsonl"), lines.join(""));
  const [place] = await findRuns([folder]);
  return place!;
}

test("readRun() follows a candidate from planned to measured, and counts cases on the way", async () => {
  const place = await runOf(["plan", plan], ["cases:a:selection:candidate:0", [{ score: 1 }, { score: 0 }]]);
  const running = await readRun(place);
  expect(running!.candidates[0]).toMatchObject({ stage: "measuring", casesRun: 2 });
  expect(running!.candidates[1]).toMatchObject({ stage: "does-not-fit", reason: "needs more" });
  expect(running).toMatchObject({ seconds: 4, latest: "ran cases through q4_0", hasReport: false });
  const kept = { mean: 0.9, low: 0.8, high: 1 };
  const measured = JSON.stringify({
    key: "measure:a:selection:4",
    value: { value: { quality: { kept } } },
    seconds: 1,
  });
  appendFileSync(place.journal, `${measured}\n{"key":"torn`);
  expect((await readRun(place))!.candidates[0]).toMatchObject({ stage: "selected", kept });
});

test("readRun() tells a run that goes on from one that was interrupted, and how to go on", async () => {
  const place = await runOf(["plan", { ...plan, command: "pare fit model.gguf" }]);
  expect(await readRun(place)).toMatchObject({ state: "interrupted", command: "pare fit model.gguf" });
  const path = join(place.folder, LOCK);
  {
    await using lock = await FolderLock.acquire(path, place.folder);
    expect((await readRun(place))!.state).toBe("interrupted"); // another fit may work there
    await lock.tell("one");
    expect((await readRun(place))!.state).toBe("running");
  }
  const { pid } = spawnSync(process.execPath, ["--version"]);
  writeFileSync(path, `${pid} 1\none\n`); // as a process that was killed leaves it
  expect((await readRun(place))!.state).toBe("interrupted");
});

test("readRun() is none before a run has planned, and survives what the engine could not run", async () => {
  expect(await readRun(await runOf(["device", {}]))).toBeUndefined();
  const place = await runOf(["plan", plan], ["measure:a:screening:4", { error: "The engine stopped" }]);
  expect((await readRun(place))!.candidates[0]!.stage).toBe("planned");
});

test("readRun() does not take another run's certificate for its own", async () => {
  const place = await runOf(["plan", plan]);
  writeFileSync(
    join(place.folder, "certificate.json"),
    JSON.stringify({ verdict: "ACCEPT", trials: [{ id: "other" }] }),
  );
  expect((await readRun(place))!.verdict).toBeUndefined();
});

test("readCases() puts answers beside the draws that they belong to", async () => {
  const draw = (id: string) => ({ id, probability: 1, least: 1, baseline: 1, candidate: 0 });
  const place = await runOf(
    ["plan", plan],
    ["cases:a:selection:candidate:1", [{ score: 0, shown: "third" }]],
    [
      "cases:a:selection:candidate:0",
      [
        { score: 0, shown: "first" },
        { score: 0, shown: "second" },
      ],
    ],
    [
      "measure:a:selection:4",
      { value: { quality: {}, draws: ["x", "y", "z"].map(draw), baselineShown: { y: "two" } } },
    ],
  );
  const cases = await readCases(place, "a", plan.task);
  expect(cases.map(({ id, candidate }) => [id, candidate.shown])).toEqual([
    ["x", "first"],
    ["y", "second"],
    ["z", "third"],
  ]);
  expect(cases[1]!.baseline.shown).toBe("two");
  expect(await readCases(place, "b", plan.task)).toEqual([]);
});
