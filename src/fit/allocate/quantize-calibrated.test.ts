// What `quantizeCalibrated()` refuses before a model runs, and what it has measured. What it writes is tested through the
// command.
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import { UsageError } from "../../errors.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { readGguf } from "../../formats/gguf/read.js";
import { splitPath } from "../../formats/gguf/split-path.js";
import { writeGguf } from "../../formats/gguf/write.js";
import { openModel } from "../../model/open.js";
import { renderRecipe } from "../../passes/recipe.js";
import { sha256File } from "../../support/files.js";
import type { Measurements } from "./measurement-schema.js";
import { emptyMeasurements, writeMeasurements } from "./measurement-table.js";
import { evenMeasurements } from "./even-measurements.js";
import { chooseAssignments } from "./quantize-calibrated.job.js";
import { quantizeCalibrated } from "./quantize-calibrated.js";

let folder: string;
let input: string;
let text: string;
let parts: string[];
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pare-quantize-calibrated-"));
  [input, text] = [at("model.gguf"), at("text.txt")];
  await writeSyntheticModel(input, { type: "f16", layers: 1 });
  writeFileSync(text, Array.from({ length: 400 }, (_, i) => `word${(i * i * 7 + i) % 190}`).join(" "));
  parts = await split(input);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each([
  ["output", () => ({ output: parts[1]! })],
  ["recipe", () => ({ output: at("out.gguf"), saveRecipe: parts[1]! })],
])("quantizeCalibrated() writes no %s over another part of a split source", async (_what, targets) => {
  const before = readFileSync(parts[1]!);
  const request = { input: parts[0]!, type: "q4_0", calibrate: [text], effort: "fast", ...targets() } as const;
  await expect(quantizeCalibrated(request)).rejects.toThrow("same file");
  expect(readFileSync(parts[1]!).equals(before)).toBe(true);
  expect(readdirSync(folder)).not.toContain("out.gguf");
});

test.each([
  ["table", () => ({ size: "5bpw", table: at("out.gguf") })],
  ["recipe", () => ({ type: "q4_0", saveRecipe: at("out.gguf") })],
])("quantizeCalibrated() refuses one path for its output and its %s, before there is either", async (what, how) => {
  const work = quantizeCalibrated({ input, output: at("out.gguf"), calibrate: [text], effort: "fast", ...how() });
  await expect(work).rejects.toThrow(`The ${what} and the output are the same file`);
  expect(readdirSync(folder)).not.toContain("out.gguf");
});

test("quantizeCalibrated() keeps a table and a followed recipe that stand where its output is to go", async () => {
  const [table, recipe] = [at("table.json"), at("recipe.yaml")];
  const calibrate = { texts: [{ file: text }], effort: "fast" as const };
  writeFileSync(table, "measured");
  writeFileSync(recipe, renderRecipe({ passes: [{ quantize: { type: "q4_0", calibrate } }] }));
  const before = readFileSync(recipe, "utf8");
  const sized = { input, output: table, size: "5bpw", table, calibrate: [text] };
  await expect(quantizeCalibrated(sized)).rejects.toThrow("The table and the output are the same file");
  const followed = { input, output: recipe, recipe };
  await expect(quantizeCalibrated(followed)).rejects.toThrow("The output and the recipe to follow are the same file");
  expect([readFileSync(table, "utf8"), readFileSync(recipe, "utf8")]).toEqual(["measured", before]);
});

test.each([
  ["also those of pinned tensors, for a table", true],
  ["none of pinned tensors, for this run alone", false],
])("chooseAssignments() asks for measurements, %s", async (_what, writesTable) => {
  await using model = await openModel(input);
  const asked: ReadonlyMap<string, readonly GgmlType[]>[] = [];
  const measure = async (types: ReadonlyMap<string, readonly GgmlType[]>) => {
    asked.push(types);
    return evenMeasurements(model.tensors, types.keys());
  };
  const how = { parseSpecial: false, recover: false, minimize: "size", effort: "fast" } as const;
  const goal = { fileBytes: Math.floor(0.4 * model.fileSizeBytes!) };
  const pins = [{ pattern: "ffn_up", type: "q8_0" as const }];
  const job = { ...how, texts: [], without: [], input, output: at("out.gguf"), goal, pins, writesTable };
  const { assignments } = await chooseAssignments(job, model, { measure });
  expect(asked.map((types) => types.get("blk.0.ffn_up.weight")!.length > 1)).toEqual([writesTable]);
  expect(asked[0]!.get("blk.0.ffn_down.weight")!.length).toBeGreaterThan(1);
  expect(assignments.get("blk.0.ffn_up.weight")!.type).toBe("q8_0");
});

test.each([true, false])("quantizeCalibrated() refuses a table without allocation, dryRun %s", async (dryRun) => {
  const how = { size: "5bpw", table: at("new.json"), effort: "fast", without: ["allocation"] } as const;
  const work = quantizeCalibrated({ input, output: at("out.gguf"), calibrate: [text], ...how, dryRun });
  await expect(work).rejects.toThrow(UsageError);
  await expect(work).rejects.toThrow("Without allocation nothing is measured");
});

test.each([
  ["a dry run", () => ({ dryRun: true })],
  ["a recipe to write", () => ({ saveRecipe: at("again.yaml") })],
])("quantizeCalibrated() refuses %s beside a recipe to follow", async (what, more) => {
  const recipe = at("recipe.yaml");
  const calibrate = { texts: [{ file: text }], contextLength: 64, effort: "fast" as const };
  writeFileSync(recipe, renderRecipe({ passes: [{ quantize: { type: "q4_0", calibrate } }] }));
  const work = quantizeCalibrated({ input, output: at("out.gguf"), recipe, ...more() });
  await expect(work).rejects.toThrow(new RegExp(`^${what} has no meaning beside a recipe to follow`, "i"));
  expect(readdirSync(folder)).not.toContain("out.gguf");
});

test.each([
  ["it", {}, "q8_0"],
  ["an embedding's own", { tokenEmbeddingType: "q6_K" }, "q6_K"],
  ["a pattern's", { tensorTypes: [{ pattern: "^token_embd", type: "q5_K" }] }, "q5_K"],
])("quantizeCalibrated() with an output type pins an embedding that is the output to %s", async (_what, more, type) => {
  const [tied, table] = [at("tied.gguf"), at("tied.json")];
  await writeSyntheticModel(tied, { type: "f16", layers: 1, tied: true });
  await writeMeasurements(table, await evenTable(tied));
  const request = { input: tied, size: "4.5bpw", calibrate: [text], table, dryRun: true, outputType: "q8_0", ...more };
  const { tensors } = await quantizeCalibrated(request);
  expect(tensors.find(({ name }) => name === "token_embd.weight")!.type).toBe(type);
});

test.each([
  ["a table", () => ({ size: "5bpw", table: at("remote.json") })],
  ["a recipe to write", () => ({ type: "q4_0", saveRecipe: at("remote.yaml") })],
  ["a dry run", () => ({ size: "5bpw", table: text, dryRun: true })],
  ["a recipe to follow", () => ({ calibrate: undefined, recipe: at("nowhere.yaml") })],
])("quantizeCalibrated() says to download a remote model before it reads it for %s", async (_what, more) => {
  const address = "http://127.0.0.1:1/model.gguf"; // nothing answers there
  const work = quantizeCalibrated({ input: address, output: at("out.gguf"), calibrate: [text], ...more() });
  await expect(work).rejects.toThrow(`Cannot measure weights of "${address}": download the file first`);
});

test("quantizeCalibrated() asks for an output before it hashes what a recipe was made with", async () => {
  const recipe = at("recipe.yaml");
  const calibrate = { texts: [{ file: text, sha256: "0".repeat(64) }], effort: "fast" as const };
  const passes = [{ quantize: { type: "q4_0", calibrate } }];
  writeFileSync(recipe, renderRecipe({ source: { sha256: "0".repeat(64) }, passes }));
  await expect(quantizeCalibrated({ input, recipe })).rejects.toThrow("No output path is given");
});

/** A table as if every weight counted the same. */
async function evenTable(path: string): Promise<Measurements> {
  await using model = await openModel(path);
  const texts = { texts: [], contextLength: 64, windows: 1 };
  const source = { sha256: await sha256File(path), sizeBytes: model.fileSizeBytes! };
  const setting = { source, calibration: texts, evaluation: texts, rounding: {}, seeds: {}, versions: {} };
  return { ...emptyMeasurements(setting), tensors: evenMeasurements(model.tensors, model.tensors.keys()) };
}

/** The model in two files. */
async function split(path: string): Promise<string[]> {
  await using gguf = await readGguf(path);
  const half = Math.floor(gguf.tensors.length / 2);
  const shares = [gguf.tensors.slice(0, half), gguf.tensors.slice(half)];
  const paths = shares.map((_, number) => splitPath(at("split"), number, shares.length));
  for (const [number, share] of shares.entries()) {
    const metadata = gguf.metadata.clone();
    metadata.set("split.no", "uint16", number).set("split.count", "uint16", shares.length);
    metadata.set("split.tensors.count", "int32", gguf.tensors.length);
    const tensors = share.map((tensor) => ({
      ...tensor,
      chunks: async function* chunks() {
        yield await gguf.readTensor(tensor);
      },
    }));
    await writeGguf(paths[number]!, { metadata, tensors });
  }
  return paths;
}
