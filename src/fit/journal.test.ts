import { appendFileSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { Journal } from "./journal.js";

function freshPath(): string {
  return join(mkdtempSync(join(tmpdir(), "pare-journal-")), "work", "journal.jsonl");
}

test("Journal does a step once, also across a restart", async () => {
  const path = freshPath();
  let done = 0;
  const work = async () => ({ value: ++done, missing: undefined });
  {
    await using journal = await Journal.open(path);
    expect(await journal.step("a", work)).toEqual({ value: 1 });
    expect(await journal.step("a", work)).toEqual({ value: 1 });
  }
  await using journal = await Journal.open(path);
  expect(journal.resumedSteps).toBe(1);
  expect(await journal.step("a", work)).toEqual({ value: 1 });
  expect(await journal.step("b", work)).toEqual({ value: 2 });
  expect(journal.count("a")).toBe(1);
});

test("Journal counts seconds of earlier runs against the budget", async () => {
  const path = freshPath();
  await using first = await Journal.open(path);
  await first.step("slow", () => new Promise((resolve) => setTimeout(resolve, 20, "done")));
  await using second = await Journal.open(path);
  expect(second.secondsUsed).toBe(first.secondsUsed);
  expect(second.secondsUsed).toBeGreaterThan(0);
});

test("Journal counts the time of a step within another once", async () => {
  await using journal = await Journal.open(freshPath());
  const pause = () => new Promise((resolve) => setTimeout(resolve, 60, "done"));
  const start = performance.now();
  await journal.step("outer", () => journal.step("inner", pause));
  const took = (performance.now() - start) / 1000;
  expect(journal.secondsUsed).toBeGreaterThanOrEqual(0.05);
  expect(journal.secondsUsed).toBeLessThanOrEqual(took + 0.002);
});

test("Journal cuts off a torn last line and goes on behind the whole ones", async () => {
  const path = freshPath();
  await using first = await Journal.open(path);
  await first.step("a", async () => 1);
  appendFileSync(path, '{"key":"b","val'); // as kill -9 leaves it
  await using second = await Journal.open(path);
  expect(second.has("b")).toBe(false);
  await second.step("b", async () => 2);
  expect(
    readFileSync(path, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).key),
  ).toEqual(["a", "b"]);
});

test("Journal refuses a file that is damaged in the middle and names the line", async () => {
  const path = freshPath();
  await using first = await Journal.open(path);
  await first.step("a", async () => 1);
  writeFileSync(path, `nonsense\n${readFileSync(path, "utf8")}`);
  await expect(Journal.open(path)).rejects.toThrow(/line 1 is no JSON/);
});

test("Journal writes nothing for a step that fails", async () => {
  await using journal = await Journal.open(freshPath());
  await expect(journal.step("a", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(journal.has("a")).toBe(false);
});

test("Journal refuses a file that is none, and leaves it as it is", async () => {
  const path = join(mkdtempSync(join(tmpdir(), "pare-journal-")), "notes.txt");
  writeFileSync(path, "one line, and no line break");
  await expect(Journal.open(path)).rejects.toThrow(/line 1 is no step/);
  expect(readFileSync(path, "utf8")).toBe("one line, and no line break");
});

test("Journal keeps lines apart that are written at the same time", async () => {
  const path = freshPath();
  {
    await using journal = await Journal.open(path);
    const long = "x".repeat(2_000_000); // more than goes to the disk at once
    await Promise.all(Array.from({ length: 6 }, (_, index) => journal.step(`step ${index}`, async () => long)));
  }
  await using again = await Journal.open(path);
  expect(again.resumedSteps).toBe(6);
});
