import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { FormatError, UsageError } from "../../errors.js";
import { sha256 } from "../../support/files.js";
import type { Measurements } from "./measurement-schema.js";
import {
  cacheMeasurementsAt,
  emptyMeasurements,
  mergeMeasurements,
  readMeasurements,
  withCacheMeasurements,
  writeMeasurements,
} from "./measurement-table.js";

let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "pare-measurements-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

const texts = (text: string) => ({ texts: [{ name: "a.txt", sha256: sha256(text) }], contextLength: 256, windows: 48 });
const divergence = (mean: number, tokens: number) => ({ mean, standardError: mean / 20, tokens });

function table(changes: Partial<Measurements> = {}): Measurements {
  const setting = {
    source: { sha256: sha256("model"), sizeBytes: 1000 },
    calibration: texts("calibration"),
    evaluation: texts("evaluation"),
    rounding: { effort: "default" },
    seeds: { windows: 1 },
    versions: { pare: "0.1.0" },
  };
  return { ...emptyMeasurements(setting), ...changes };
}

const tensor = (types: Measurements["tensors"][string]["types"]) => ({ type: "f16" as const, shape: [64, 64], types });

test("writeMeasurements() and readMeasurements() keep everything, and leave no other file", async () => {
  const path = join(folder, "table.json");
  const written = table({
    tensors: { "output.weight": tensor({ q4_0: { layerError: 0.01, divergence: divergence(0.02, 500) } }) },
    mixes: [{ types: { "output.weight": "q4_0" }, sizeBytes: 300, predicted: 0.02, divergence: divergence(0.02, 500) }],
    kvCache: [{ contextLength: 512, typeK: "q8_0", typeV: "f16", divergence: divergence(0.001, 500) }],
  });
  await writeMeasurements(path, written);
  expect(await readMeasurements(path, written.source)).toEqual(written);
  expect(await readdir(folder)).toEqual(["table.json"]);
});

test("readMeasurements() refuses a table of another model", async () => {
  const path = join(folder, "other.json");
  await writeMeasurements(path, table());
  const read = readMeasurements(path, { sha256: sha256("another model") });
  await expect(read).rejects.toThrow(UsageError);
  await expect(read).rejects.toThrow(`are of another model, with SHA-256 ${sha256("model")}`);
});

test("readMeasurements() names the file and the field that is wrong", async () => {
  const path = join(folder, "broken.json");
  const broken = async (text: string) => {
    await writeFile(path, text);
    return readMeasurements(path);
  };
  await expect(readMeasurements(join(folder, "absent.json"))).rejects.toThrow("there is no such file");
  await expect(broken("{")).rejects.toThrow(FormatError);
  await expect(broken("null")).rejects.toThrow(FormatError);
  await expect(broken(JSON.stringify({ ...table(), version: 2 }))).rejects.toThrow("it is version 2, 1 is wanted");
  await expect(broken(JSON.stringify({ ...table(), tensors: { a: { type: "q9_9" } } }))).rejects.toThrow(
    'field "tensors.a.type"',
  );
  const typo = { ...table(), tensors: { a: { type: "f16", shape: [1], types: { q9_9: {} } } } };
  await expect(broken(JSON.stringify(typo))).rejects.toThrow('field "tensors.a.types');
});

test("writeMeasurements() refuses numbers that JSON can't hold and leaves the old file", async () => {
  const path = join(folder, "kept.json");
  await writeMeasurements(path, table());
  const before = await readFile(path, "utf8");
  const broken = table({ tensors: { a: tensor({ q4_0: { layerError: NaN } }) } });
  await expect(writeMeasurements(path, broken)).rejects.toThrow();
  expect(await readFile(path, "utf8")).toBe(before);
});

test("mergeMeasurements() adds up, and of two divergences keeps the one from more tokens", () => {
  const older = table({
    tensors: {
      a: tensor({ q4_0: { layerError: 0.01, divergence: divergence(0.5, 1000) }, q8_0: { layerError: 0.001 } }),
      b: tensor({}),
    },
    kvCache: [{ contextLength: 512, typeK: "q8_0", typeV: "f16", divergence: divergence(0.1, 10) }],
  });
  const newer = table({
    tensors: {
      a: tensor({ q4_0: { divergence: divergence(0.4, 500) }, q8_0: { divergence: divergence(0.1, 500) } }),
      c: tensor({}),
    },
    kvCache: [{ contextLength: 512, typeK: "q8_0", typeV: "f16", divergence: divergence(0.2, 20) }],
  });
  const { tensors, kvCache } = mergeMeasurements(older, newer);
  expect(Object.keys(tensors)).toEqual(["a", "b", "c"]);
  expect(tensors["a"]!.types).toEqual({
    q4_0: { layerError: 0.01, divergence: divergence(0.5, 1000) },
    q8_0: { layerError: 0.001, divergence: divergence(0.1, 500) },
  });
  expect(kvCache).toEqual(newer.kvCache);
});

test.each<[string, Partial<Measurements>]>([
  ["the model", { source: { sha256: sha256("other"), sizeBytes: 1 } }],
  ["the calibration texts", { calibration: texts("other") }],
  ["the windows of calibration", { calibration: { ...texts("calibration"), windows: 47 } }],
  ["the evaluation texts", { evaluation: texts("other") }],
  ["the context length of evaluation", { evaluation: { ...texts("evaluation"), contextLength: 128 } }],
  ["how tensors are rounded", { rounding: { effort: "high" } }],
  ["the seeds", { seeds: { windows: 2 } }],
])("mergeMeasurements() refuses tables that differ in %s", (difference, changes) => {
  expect(() => mergeMeasurements(table(), table(changes))).toThrow(`they differ in ${difference}`);
});

const cacheAt = (contextLength: number) =>
  ({ contextLength, typeK: "q8_0", typeV: "f16", divergence: divergence(0.1, 10) }) as const;

test("cacheMeasurementsAt() takes windows of that length alone", () => {
  const measured = table({ kvCache: [cacheAt(512), cacheAt(4096)] });
  expect(cacheMeasurementsAt(measured, 512)).toEqual([cacheAt(512)]);
  expect(cacheMeasurementsAt(measured, 1024)).toEqual([]);
});

test("withCacheMeasurements() adds what is new of the same texts, and leaves a table of other texts as it is", () => {
  const before = table({ kvCache: [cacheAt(512)] });
  expect(withCacheMeasurements(before, before, [cacheAt(256)]).kvCache).toEqual([cacheAt(512), cacheAt(256)]);
  expect(withCacheMeasurements(before, before, [])).toBe(before);
  expect(withCacheMeasurements(before, { evaluation: texts("other") }, [cacheAt(256)])).toBe(before);
});
