// `pare quantize --calibrate` with finished statistics, as a shell runs it.
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { HessianFile, writeHessians } from "../src/calibrate/hessian-file.js";
import { readImportance } from "../src/calibrate/read-imatrix.js";
import { DAMPING } from "../src/fit/allocate/rounding-input.js";
import { readGguf } from "../src/formats/gguf/read.js";
import { writeGguf } from "../src/formats/gguf/write.js";
import { loadGgml } from "../src/native/engine.js";
import { dequantize, quantizeRows } from "../src/native/ggml.js";
import { readRecipe, renderRecipe } from "../src/passes/recipe.js";
import { sha256 } from "../src/support/files.js";
import { toFloat16 } from "../src/support/float16.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { diagonalOf, rowLosses } from "./rounding-problems.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const ggml = loadGgml();
const inputs = temporaryFolder();
const model = inputs.path("model.gguf");
const text = inputs.path("text.txt");
const others = inputs.path("others.txt");
const hessians = inputs.path("hessians.gguf");
const importance = inputs.path("imatrix.gguf");
const CONTEXT = 64;
const context = ["--context", `${CONTEXT}`, "--threads", "1"];

beforeAll(async () => {
  await writeSyntheticModel(model, { type: "f16", vocabulary: 512, layers: 1 });
  // A token is a character; two stand before the first. Quantizing measures on the fifth of nine windows, and the
  // statistics are those of the eight others.
  const words = Array.from({ length: 2 * CONTEXT }, (_, i) => `word${(i * i * 7 + i) % 190}`).join(" ");
  const characters = words.slice(0, 9 * CONTEXT - 2);
  writeFileSync(text, characters);
  writeFileSync(others, characters.slice(0, 4 * CONTEXT - 2) + characters.slice(5 * CONTEXT - 2));
  const args = [model, others, "-o", importance, "--hessians", hessians, "--process-output"];
  const written = await pare(["calibrate", ...args, ...context]);
  expect(written.exitCode).toBe(0);
});
afterAll(() => inputs[Symbol.dispose]());

async function quantize(path: string, args: readonly string[], source = model) {
  const outcome = await pare(["quantize", source, path, ...args, "--threads", "1", "--json"]);
  expect(outcome.stdout).not.toBe("");
  return documentOf("quantize", outcome);
}

test("quantize --type by Hessians gives the very file that the same text gives without drift and recovery", async () => {
  using folder = temporaryFolder();
  const [byFile, byText] = [folder.path("file.gguf"), folder.path("text.gguf")];
  // The text runs through a model whose embedding is rounded already.
  const types = ["--type", "q4_K_S", "--token-embedding-type", "f16"];
  const document = await quantize(byFile, [...types, "--calibrate", hessians]);
  expect(document.warnings).toEqual([]);
  expect(document.calibration).toEqual({ statisticsTokens: 8 * CONTEXT, statistics: hessians });
  const without = ["--without", "asymmetric", "--without", "recovery"];
  await quantize(byText, [...types, "--calibrate", text, "--context", `${CONTEXT}`, ...without]);
  expect(readFileSync(byFile).equals(readFileSync(byText))).toBe(true);
});

test("quantize by Hessians of a model whose embedding is its output, too, gives the file that the text gives", async () => {
  using folder = temporaryFolder();
  const [tied, statistics, sums] = ["tied.gguf", "h.gguf", "i.gguf"].map(folder.path) as [string, string, string];
  await writeSyntheticModel(tied, { type: "f16", vocabulary: 512, layers: 1, tied: true });
  await pare(["calibrate", tied, others, "-o", sums, "--hessians", statistics, "--process-output", ...context]);
  expect((await readImportance(sums)).entries.has("token_embd.weight")).toBe(false); // as in llama-imatrix's files
  const [byFile, byText] = [folder.path("file.gguf"), folder.path("text.gguf")];
  const byImportance = await quantize(byFile, ["--type", "q4_0", "--calibrate", sums], tied);
  expect(byImportance.warnings.join()).toContain("1 of 8 matrices have no statistics in");
  expect((await quantize(byFile, ["--type", "q4_0", "--calibrate", statistics], tied)).warnings).toEqual([]);
  const without = ["--without", "asymmetric", "--without", "recovery"];
  await quantize(byText, ["--type", "q4_0", "--calibrate", text, "--context", `${CONTEXT}`, ...without], tied);
  expect(readFileSync(byFile).equals(readFileSync(byText))).toBe(true);
});

test("quantize by Hessians with a text beside them measures on the text", async () => {
  using folder = temporaryFolder();
  const both = ["--calibrate", hessians, "--calibrate", text, "--context", `${CONTEXT}`];
  const [alone, beside] = [folder.path("alone.gguf"), folder.path("beside.gguf")];
  await quantize(alone, ["--type", "q4_0", "--calibrate", hessians]);
  const { calibration } = await quantize(beside, ["--type", "q4_0", ...both, "--without", "recovery"]);
  expect(calibration).toMatchObject({ statistics: hessians, contextLength: CONTEXT, measurementWindows: 1 });
  expect(calibration!.divergence!.mean).toBeGreaterThan(0);
  expect(readFileSync(alone).equals(readFileSync(beside))).toBe(true);
  const output = folder.path("sized.gguf");
  const sized = await quantize(output, ["--size", "-70%", ...both, "--effort", "fast"]);
  expect(sized.warnings).toEqual([]);
  expect(sized.calibration!.predictedDivergence).toBeGreaterThan(0);
  expect(statSync(output).size).toBeLessThanOrEqual(0.3 * statSync(model).size);
});

test("quantize --size by Hessians alone chooses by layer errors and says so; a table needs no text", async () => {
  using folder = temporaryFolder();
  const output = folder.path("sized.gguf");
  const size = ["--size", "-70%", "--effort", "fast"];
  const sized = await quantize(output, [...size, "--calibrate", hessians]);
  expect(sized.warnings).toHaveLength(1);
  expect(sized.warnings[0]).toContain("types are chosen by layer errors");
  expect(sized.calibration).not.toHaveProperty("predictedDivergence");
  expect(sized.sizeBytes).toBeLessThanOrEqual(0.3 * statSync(model).size);
  expect(sized.sizeBytes).toBeGreaterThan(0.98 * 0.3 * statSync(model).size);
  const table = folder.path("table.json");
  const measured = ["--calibrate", text, "--context", `${CONTEXT}`, "--table", table];
  const byText = await quantize(output, [...size, ...measured]);
  const known = [...size, "--calibrate", hessians, "--table", table];
  const byTable = await quantize(output, known);
  expect(byTable.warnings).toEqual([]);
  expect(byTable.tensors).toEqual(byText.tensors);
  expect(byTable.calibration!.predictedDivergence).toBe(byText.calibration!.predictedDivergence);
  const foreseen = documentOf("quantize", await pare(["quantize", model, ...known, "--dry-run", "--json"]));
  expect(foreseen).toMatchObject({ warnings: [], sizeBytes: byTable.sizeBytes, tensors: byTable.tensors });
  const { predictedDivergence } = byTable.calibration!;
  expect(foreseen.calibration).toEqual({ predictedDivergence, table });
});

test.each([
  ["Hessians", () => hessians, [], ["--size", "-70%", "--token-embedding-type", "q6_K"]],
  [
    "Hessians and a text",
    () => hessians,
    ["--calibrate", text, "--context", `${CONTEXT}`],
    ["--type", "q4_K_M", "--kv-cache", "100kB@512"],
  ],
  ["importance data", () => importance, [], ["--type", "q4_0", "--without", "descent"]],
])("quantize --recipe makes the file again that was made with %s", async (_what, statistics, texts, how) => {
  using folder = temporaryFolder();
  const [first, again, recipe] = ["first.gguf", "again.gguf", "recipe.yaml"].map(folder.path) as [
    string,
    string,
    string,
  ];
  const wish = [...how, "--calibrate", statistics(), ...texts, "--effort", "fast", "--save-recipe", recipe];
  const made = await quantize(first, wish);
  const { calibrate } = (await readRecipe(recipe)).passes[0]!.quantize!;
  expect(calibrate!.statistics).toEqual({ file: statistics(), sha256: sha256(readFileSync(statistics())) });
  expect(calibrate!.texts?.map(({ file }) => file)).toEqual(texts.length > 0 ? [text] : undefined);
  const followed = await quantize(again, ["--recipe", recipe]);
  expect(readFileSync(again).equals(readFileSync(first))).toBe(true);
  expect([followed.calibration, followed.cache]).toEqual([made.calibration, made.cache]);
  expect(made.cache === undefined).toBe(texts.length === 0);
});

test("quantize refuses a recipe with other statistics, and follows it with --allow-mismatch", async () => {
  using folder = temporaryFolder();
  const [output, recipe] = [folder.path("out.gguf"), folder.path("recipe.yaml")];
  const calibrate = { statistics: { file: hessians, sha256: "0".repeat(64) }, effort: "fast" as const };
  writeFileSync(recipe, renderRecipe({ passes: [{ quantize: { type: "q4_0", calibrate } }] }));
  const refused = await pare(["quantize", model, output, "--recipe", recipe, "--json"]);
  expect(failureOf(refused).message).toContain("was made with other statistics");
  expect(existsSync(output)).toBe(false);
  const { calibration } = await quantize(output, ["--recipe", recipe, "--allow-mismatch"]);
  expect(calibration!.statistics).toBe(hessians);
});

test.each([
  ["a text", () => text, "it holds none", []],
  ["a text, whatever else may differ", () => text, "it holds none", ["--allow-mismatch"]],
  ["what is not there", () => inputs.path("nowhere.gguf"), "there is no such file", []],
])("quantize refuses a recipe whose statistics are %s", async (_what, file, reason, more) => {
  using folder = temporaryFolder();
  const [output, recipe] = [folder.path("out.gguf"), folder.path("recipe.yaml")];
  const calibrate = { texts: [{ file: text }], statistics: { file: file() }, effort: "fast" as const };
  writeFileSync(recipe, renderRecipe({ passes: [{ quantize: { type: "q4_0", calibrate } }] }));
  const refused = await pare(["quantize", model, output, "--recipe", recipe, "--json", ...more]);
  expect(failureOf(refused).message).toContain(`with "${file()}" as its statistics: ${reason}`);
  expect(existsSync(output)).toBe(false);
});

test("quantize by importance data warns that there is no error feedback", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const { warnings, calibration } = await quantize(output, ["--type", "q4_0", "--calibrate", importance]);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain("importance alone");
  expect(calibration).toEqual({ statisticsTokens: 8 * CONTEXT, statistics: importance });
});

test("quantize by Hessians of few tokens warns of their rank, and of matrices that have none", async () => {
  using folder = temporaryFolder();
  const few = folder.path("few.gguf");
  const args = ["-o", folder.path("i.gguf"), "--hessians", few, "--chunks", "2", ...context];
  await pare(["calibrate", model, text, ...args]);
  const { warnings } = await quantize(folder.path("out.gguf"), ["--type", "q4_0", "--calibrate", few]);
  expect(warnings).toHaveLength(2);
  expect(warnings[0]).toContain('1 of 8 matrices have no statistics in "');
  expect(warnings[0]).toContain('such as "output.weight"');
  expect(warnings[0]).toContain("--process-output");
  expect(warnings[1]).toContain("128 tokens were looked at, fewer than the 512 columns");
  expect(warnings[1]).toContain("Hessians of 512 tokens of text or more would do");
});

test("quantize by Hessians of experts", async () => {
  using folder = temporaryFolder();
  const mixture = folder.path("mixture.gguf");
  const statistics = folder.path("statistics.gguf");
  await writeSyntheticModel(mixture, { type: "f16", vocabulary: 512, layers: 1, experts: 4, expertsUsed: 1 });
  const args = ["-o", folder.path("i.gguf"), "--hessians", statistics, "--process-output", ...context];
  await pare(["calibrate", mixture, text, ...args]);
  for (const file of [statistics, folder.path("i.gguf")]) {
    const { warnings } = await quantize(folder.path("o.gguf"), ["--type", "q4_0", "--calibrate", file], mixture);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(file === statistics ? /of 4 experts saw fewer tokens/ : /importance alone/);
  }
});

describe("no row is worse than ggml's own rounding with importance", () => {
  const [odd, oddHessians] = [inputs.path("odd.gguf"), inputs.path("odd-hessians.gguf")];
  beforeAll(async () => {
    await writeOddModel(odd);
    const sums = inputs.path("odd-imatrix.gguf");
    await pare(["calibrate", odd, others, "-o", sums, "--hessians", oddHessians, ...context]);
  });
  const types = ["q2_K", "q3_K", "q4_K", "q5_K", "q6_K", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl", "iq4_xs"];
  const books = ["iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s"];
  const presets: Record<string, string> = { iq2_s: "iq2_m" }; // llama.cpp's preset iq2_s is a mix on iq2_xs
  test.each([...types, ...books])(
    "in a file of %s that was made with --effort fast and nothing but error feedback",
    async (type) => {
      using folder = temporaryFolder();
      const output = folder.path("out.gguf");
      const made = ["--calibrate", oddHessians, "--effort", "fast", "--without", "descent"];
      await quantize(output, ["--type", presets[type] ?? type, "--pure", ...made], odd);
      await using statistics = await HessianFile.open(oddHessians);
      await using source = await readGguf(odd);
      await using file = await readGguf(output);
      let rows = 0;
      for (const name of statistics.weights) {
        const { columns, matrix, counts } = (await statistics.read(name))!;
        const hessian = matrix.map((sum) => sum / counts[0]!);
        const diagonal = diagonalOf(hessian, columns);
        const damping = (DAMPING * diagonal.reduce((sum, value) => sum + value, 0)) / columns;
        for (let i = 0; i < columns; i++) hessian[i * (columns + 1)]! += damping;
        const tensor = source.tensor(name)!;
        const count = Math.min(ROWS_COMPARED, tensor.shape[1]!) * columns;
        const weights = dequantize(ggml, "f16", await source.readTensor(name), count);
        const found = file.tensor(name)!;
        expect(found.type).toBe(type);
        const ours = dequantize(ggml, type, await file.readTensor(name), count);
        const theirs = dequantize(ggml, type, quantizeRows(ggml, type, weights, columns, diagonal), count);
        const [own, other] = [ours, theirs].map((values) => rowLosses(weights, values, hessian, columns));
        own!.forEach((loss, row) => expect(loss, `${name}, row ${row}`).toBeLessThanOrEqual(other![row]! * (1 + 1e-5)));
        rows += own!.length;
      }
      expect(rows).toBeGreaterThan(7 * 20);
    },
  );
});
const ROWS_COMPARED = 48;

test.each([
  ["a model", () => model, "it is a model"],
  ["statistics of another model", () => otherWidths(), "8 columns"],
  [
    "statistics with a weight that the model lacks",
    () => otherWeights(),
    '"blk.7.attn_q.weight", which the model lacks',
  ],
  ["damaged Hessians", () => damaged(), '"blk.0.attn_q.weight.counts" is not 1 of f32'],
])("quantize --calibrate refuses %s", async (_what, make, message) => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const outcome = await pare(["quantize", model, output, "--type", "q4_0", "--calibrate", await make(), "--json"]);
  expect(failureOf(outcome).message).toContain(message);
  expect(outcome.exitCode).toBe(1);
  expect(existsSync(output)).toBe(false);
});

test.each([
  ["two files of statistics", ["--type", "q4_0", "--calibrate", importance], "Two files of statistics"],
  ["windows without a text", ["--type", "q4_0", "--context", "64"], "How a text is read"],
  ["a KV cache to choose without a text", ["--type", "q4_0", "--kv-cache", "1MB@512"], "takes a text to measure"],
  ["a device to share without a text", ["--size", "raspberry-pi-5@512"], "takes a text to measure"],
  ["a table to write without a text", ["--size", "4bpw", "--table", "new.json"], "need a text"],
])("quantize --calibrate refuses %s", async (_what, args, message) => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const outcome = await pare(["quantize", model, output, "--calibrate", hessians, ...args, "--json"]);
  expect(failureOf(outcome).message).toContain(message);
  expect(outcome.exitCode).toBe(2);
  expect(existsSync(output)).toBe(false);
});

async function otherWidths(): Promise<string> {
  return hessiansOf("widths.gguf", "blk.0.attn_q.weight", 8);
}

async function otherWeights(): Promise<string> {
  return hessiansOf("weights.gguf", "blk.7.attn_q.weight", 256);
}

async function damaged(): Promise<string> {
  return hessiansOf("damaged.gguf", "blk.0.attn_q.weight", 256, [1, 2, 3]);
}

async function hessiansOf(file: string, weight: string, columns: number, counts = [1]): Promise<string> {
  const path = inputs.path(file);
  const matrix = new Float32Array(columns * columns);
  await writeHessians(path, [{ weights: [weight], columns, matrices: 1, matrix, counts: Float32Array.from(counts) }]);
  return path;
}

/** A model with rows on which error feedback alone may stumble: every other one has a weight that is nearly all of it. */
async function writeOddModel(path: string): Promise<void> {
  await using gguf = await readGguf(model);
  const tensors = [];
  for (const { name, shape, type } of gguf.tensors) {
    const bytes = await gguf.readTensor(name);
    const [columns, rows = 1] = shape as [number, number?];
    const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, type === "f16" ? columns * rows : 0);
    for (let row = 0; row < rows && halves.length > 0 && name.startsWith("blk."); row += 2) {
      halves[row * columns + ((row * 7) % columns)] = toFloat16(row % 4 === 0 ? 20 : -20);
    }
    tensors.push({ name, shape, type, chunks: () => [bytes] });
  }
  await writeGguf(path, { metadata: gguf.metadata, tensors });
}
