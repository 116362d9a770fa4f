// `pare quantize --calibrate --table` as a shell runs it: measurements that are kept for other runs.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { readMeasurements } from "../src/fit/allocate/measurement-table.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const inputs = temporaryFolder();
const model = inputs.path("model.gguf");
const text = inputs.path("text.txt");
const calibrated = ["--calibrate", text, "--context", "64", "--threads", "1"];

beforeAll(async () => {
  await writeSyntheticModel(model, { type: "f16", vocabulary: 512 });
  const words = Array.from({ length: 400 }, (_, i) => `word${(i * i * 7 + i) % 190}`);
  writeFileSync(text, words.join(" "));
});
afterAll(() => inputs[Symbol.dispose]());

test("quantize --table solves another size without measuring again, and the same size to the same types", async () => {
  using folder = temporaryFolder();
  const table = folder.path("table.json");
  const args = (output: string, size: string) => [
    "quantize",
    model,
    folder.path(output),
    "--size",
    size,
    ...calibrated,
    "--effort",
    "fast",
    "--table",
    table,
    "--json",
  ];
  const first = documentOf("quantize", await pare(args("a.gguf", "5bpw")));
  const measured = readFileSync(table, "utf8");
  const again = documentOf("quantize", await pare(args("b.gguf", "5bpw")));
  expect(again.tensors).toEqual(first.tensors);
  expect(readFileSync(folder.path("b.gguf")).equals(readFileSync(folder.path("a.gguf")))).toBe(true);
  const smaller = documentOf("quantize", await pare(args("c.gguf", "4.3bpw")));
  expect(smaller.sizeBytes).toBeLessThan(first.sizeBytes);
  expect(readFileSync(table, "utf8")).toBe(measured);
  const dry = ["quantize", model, "--size", "4.3bpw", "--calibrate", text, "--table", table, "--dry-run", "--json"];
  const foreseen = documentOf("quantize", await pare([...dry, "--effort", "fast"]));
  expect(foreseen).toMatchObject({ sizeBytes: smaller.sizeBytes, tensors: smaller.tensors });
  expect(foreseen.calibration!.predictedDivergence).toBe(smaller.calibration!.predictedDivergence);
  expect(readdirSync(folder.path("")).sort()).toEqual(["a.gguf", "b.gguf", "c.gguf", "table.json"]);
});

test("quantize --table also measures pinned tensors, and a table that lacks some is refused with their names", async () => {
  using folder = temporaryFolder();
  const [output, table] = [folder.path("out.gguf"), folder.path("table.json")];
  const args = ["quantize", model, output, "--size", "-60%", ...calibrated, "--effort", "fast", "--table", table];
  const pin = ["--tensor-type", "attn_v=q8_0"];
  const pinned = documentOf("quantize", await pare([...args, ...pin, "--json"]));
  const foreseen = documentOf("quantize", await pare([...args, ...pin, "--dry-run", "--json"]));
  expect([foreseen.tensors, foreseen.sizeBytes]).toEqual([pinned.tensors, pinned.sizeBytes]);
  const { tensors, ...rest } = await readMeasurements(table);
  const { "blk.0.attn_v.weight": first, "blk.1.attn_v.weight": second, ...others } = tensors;
  expect(Object.keys({ ...first?.types, ...second?.types })).toContain("q4_K");
  documentOf("quantize", await pare([...args, "--dry-run", "--json"]));
  writeFileSync(table, JSON.stringify({ ...rest, tensors: others }));
  for (const more of [[], ["--dry-run"]]) {
    const outcome = await pare([...args, ...more, "--json"]);
    expect(failureOf(outcome).message).toContain('say nothing of "blk.0.attn_v.weight", "blk.1.attn_v.weight"');
    expect(outcome.exitCode).toBe(1);
  }
});

test("quantize --table takes measurements of the cache into a table of weights alone, and measures no cache again", async () => {
  using folder = temporaryFolder();
  const table = folder.path("table.json");
  const size = ["--size", "5bpw", "--table", table, "--effort", "fast", ...calibrated, "--threads", "1"];
  const run = (...more: string[]) =>
    pare(["quantize", model, folder.path("out.gguf"), ...size, ...more, "--json", "--verbose"]);
  await run();
  expect((await readMeasurements(table)).kvCache).toEqual([]);
  const unforeseen = await run("--kv-cache", "200kB@512", "--dry-run");
  expect(failureOf(unforeseen).message).toContain("nothing of KV caches");
  const first = await run("--kv-cache", "200kB@512");
  expect(first.stderr).toContain("measuring KV-cache types");
  expect((await readMeasurements(table)).kvCache.length).toBeGreaterThanOrEqual(13);
  const again = await run("--kv-cache", "200kB@512");
  expect(documentOf("quantize", again).cache).toEqual(documentOf("quantize", first).cache);
  expect(again.stderr).not.toContain("measuring KV-cache types");
});
