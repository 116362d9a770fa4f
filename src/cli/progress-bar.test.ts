import { expect, test } from "vitest";

import { type BarOptions, ProgressBar } from "./progress-bar.js";

function barAt(options: BarOptions & { isTTY?: boolean; columns?: number } = {}) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const stream = {
    isTTY: options.isTTY ?? true,
    columns: options.columns ?? 100,
    write: (text: string) => written.push(text),
  };
  return { bar: new ProgressBar(stream, { ...options, now: () => clock.ms }), written, clock };
}

test("ProgressBar draws nothing in the first two seconds", () => {
  const { bar, written, clock } = barAt();
  bar.update({ stage: "quantizing", done: 1, total: 10, unit: "tensors" });
  clock.ms = 1999;
  bar.update({ stage: "quantizing", done: 2, total: 10, unit: "tensors" });
  bar.clear();
  expect(written).toEqual([]);
});

test("ProgressBar shows share, amounts, rate and time left, measured from the stage's start", () => {
  const { bar, written, clock } = barAt();
  bar.update({ stage: "quantizing", done: 20, total: 100, unit: "tensors" });
  clock.ms = 4000;
  bar.update({ stage: "quantizing", done: 40, total: 100, unit: "tensors" });
  expect(written).toHaveLength(1);
  expect(written[0]).toContain(" 40%");
  expect(written[0]).toContain("40 of 100 tensors");
  expect(written[0]).toContain("5.0/s");
  expect(written[0]).toContain("12.0 s left");
});

test("ProgressBar redraws at most ten times a second", () => {
  const { bar, written, clock } = barAt();
  for (clock.ms = 2000; clock.ms < 3000; clock.ms += 5) bar.update({ stage: "reading", done: clock.ms, unit: "bytes" });
  expect(written.length).toBe(10);
});

test("ProgressBar keeps to one line of the terminal", () => {
  const { bar, written, clock } = barAt({ columns: 40 });
  clock.ms = 5000;
  bar.update({ stage: "measuring", done: 1, total: 2, unit: "windows", detail: "x".repeat(200) });
  expect([...written[0]!.replace("\r\u001b[2K", "")].length).toBe(39);
});

test("ProgressBar keeps the time left where the line is short", () => {
  const { bar, written, clock } = barAt({ columns: 64 });
  bar.update({ stage: "calibrating", done: 0, total: 335_616, unit: "tokens" });
  clock.ms = 4000;
  bar.update({ stage: "calibrating", done: 1024, total: 335_616, unit: "tokens", detail: "blk.3" });
  expect(written.at(-1)).toMatch(/256\/s {2}21m 47s left/);
});

test("ProgressBar shows the result before the bar, which makes room for it", () => {
  const { bar, written, clock } = barAt({ columns: 80 });
  bar.update({ stage: "training", done: 0, total: 630, unit: "steps" });
  clock.ms = 4000;
  bar.update({ stage: "training", done: 153, total: 630, unit: "steps", result: "loss 3.564 █▆▄▁" });
  expect(written.at(-1)).toMatch(/training {2} 24% {2}loss 3\.564 █▆▄▁ {2}█+░+ {2}153 of 630 steps/);
});

test("ProgressBar takes itself off the screen, once", () => {
  const { bar, written, clock } = barAt();
  clock.ms = 5000;
  bar.update({ stage: "reading", done: 1, unit: "bytes" });
  bar.clear();
  bar.clear();
  expect(written).toHaveLength(2);
  expect(written[1]).toBe("\r\u001b[2K");
});

test("ProgressBar writes nothing where the stream is no terminal", () => {
  const { bar, written, clock } = barAt({ isTTY: false });
  clock.ms = 5000;
  bar.update({ stage: "reading", done: 1, unit: "bytes" });
  bar.clear();
  expect(written).toEqual([]);
});

test("ProgressBar names each stage once where it is verbose and the stream is no terminal", () => {
  const { bar, written } = barAt({ isTTY: false, isVerbose: true });
  for (const stage of ["reading", "reading", "writing", "writing"]) bar.update({ stage, done: 1, unit: "bytes" });
  expect(written).toEqual(["reading\n", "writing\n"]);
});
