import { writeFileSync } from "node:fs";

import { afterAll, expect, test } from "vitest";

import { temporaryFolder } from "../../../test/command.js";
import { statisticsKind } from "../../calibrate/finished-statistics.js";
import { type Hessian, HessianFile, writeHessians } from "../../calibrate/hessian-file.js";
import { importanceEntry } from "../../calibrate/importance.js";
import { writeImportance } from "../../calibrate/write-imatrix.js";
import { FormatError, PareError } from "../../errors.js";
import { Metadata, MetadataArray } from "../../formats/gguf/metadata.js";
import { writeGguf } from "../../formats/gguf/write.js";
import type { RoundingInput } from "../../passes/quantize/round/rounding-pool.js";
import {
  type FinishedInputs,
  type TensorInputs,
  openFinishedInputs,
  requireSameModel,
  tensorInputs,
} from "./finished-inputs.js";
import { DAMPING, type RoundingInputs, TIED_DAMPING } from "./rounding-input.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const QUERY = "blk.0.attn_q.weight";
const KEY = "blk.0.attn_k.weight";
const EXPERTS = "blk.0.ffn_up_exps.weight";
/** A matrix per head, and every token goes through all of them. */
const HEADS = "blk.0.attn_k_b.weight";

test("openFinishedInputs() reads Hessians as damped means, once for the weights that share them", async () => {
  await using finished = await hessians([{ weights: [QUERY, KEY], matrix: [8, 2, 2, 4], counts: [2] }]);
  expect(finished.kind).toBe("hessian");
  expect(finished.inputs).toEqual([{ weights: [QUERY, KEY], columns: 2, matrices: 1 }]);
  const { inputs, counts } = await finished.read(finished.inputs[0]!, 2);
  const damping = DAMPING * 3;
  expect(made(inputs).map(({ hessian }) => [...hessian])).toEqual([[4 + damping, 1, 1, 2 + damping].map(Math.fround)]);
  expect([...inputs.at(0)!.importance]).toEqual([4, 2]);
  expect([...counts]).toEqual([2]);
});

test("openFinishedInputs() also weighs lookups where the embedding is the output, too", async () => {
  await using finished = await hessians([{ weights: ["token_embd.weight"], matrix: [8, 2, 2, 4], counts: [2] }]);
  const { inputs } = await finished.read(finished.inputs[0]!, 2);
  const damping = TIED_DAMPING * 3;
  expect(made(inputs).map(({ hessian }) => [...hessian])).toEqual([[4 + damping, 1, 1, 2 + damping]]);
});

test("openFinishedInputs() reads importance as diagonals, plain for an expert that saw nothing", async () => {
  const path = folder.path("imatrix.gguf");
  const entry = importanceEntry(Float32Array.of(8, 4, 0, 0), Float32Array.of(2, 0));
  await writeImportance(path, { entries: new Map([[EXPERTS, entry]]), chunkCount: 1, chunkSize: 2, datasets: [] });
  await using finished = await openFinishedInputs(path);
  expect(finished.kind).toBe("imatrix");
  expect(finished.inputs).toEqual([{ weights: [EXPERTS], columns: 2, matrices: 2 }]);
  const { inputs } = await finished.read(finished.inputs[0]!, 2);
  expect(made(inputs).map(({ importance }) => [...importance])).toEqual([
    [4, 2],
    [1, 1],
  ]);
  const [seen, unseen] = [3 * DAMPING, DAMPING];
  expect(made(inputs).map(({ hessian }) => [...hessian])).toEqual([
    [4 + seen, 0, 0, 2 + seen].map(Math.fround),
    [1 + unseen, 0, 0, 1 + unseen].map(Math.fround),
  ]);
});

test("openFinishedInputs() takes one count for the matrices of a stack, as is written where no router picks, and pools nothing", async () => {
  const matrix = [8, 2, 2, 4, 2, 0, 0, 6];
  await using finished = await hessians([{ weights: [HEADS], matrices: 2, matrix, counts: [2] }]);
  expect(finished.inputs).toEqual([{ weights: [HEADS], columns: 2, matrices: 2 }]);
  const [{ inputs, watched }] = (await allOf(tensorInputs(finished, [HEADS], () => 2))) as [TensorInputs];
  const [first, second] = [3 * DAMPING, 2 * DAMPING];
  expect(made(inputs).map(({ hessian }) => [...hessian])).toEqual([
    [4 + first, 1, 1, 2 + first].map(Math.fround),
    [1 + second, 0, 0, 3 + second].map(Math.fround),
  ]);
  expect(watched).toMatchObject({ name: HEADS, columns: 2, isRouted: false });
  expect(Array.from(watched!.counts)).toEqual([2]);
});

test("openFinishedInputs() pools the matrices that are counted apart", async () => {
  const matrix = [8, 2, 2, 4, 2, 0, 0, 6];
  await using finished = await hessians([{ weights: [EXPERTS], matrices: 2, matrix, counts: [2, 2] }]);
  const [{ inputs, watched }] = (await allOf(tensorInputs(finished, [EXPERTS], () => 2))) as [TensorInputs];
  expect(inputs.at(1)!.hessian[1]).toBeGreaterThan(0);
  expect(watched).toMatchObject({ isRouted: true });
});

test("tensorInputs() cuts importance of a stack that no router picks from into the model's rows", async () => {
  const path = folder.path("heads.gguf");
  const entry = importanceEntry(Float32Array.of(8, 4, 2, 6), Float32Array.of(2));
  await writeImportance(path, { entries: new Map([[HEADS, entry]]), chunkCount: 1, chunkSize: 2, datasets: [] });
  await using finished = await openFinishedInputs(path);
  expect(() => requireSameModel(finished, model([HEADS, 2, 8, 2]))).not.toThrow();
  expect(() => requireSameModel(finished, model([HEADS, 2, 8, 3]))).toThrow('4 columns of "blk.0.attn_k_b.weight"');
  const [{ inputs, watched }] = (await allOf(tensorInputs(finished, [HEADS], () => 2))) as [TensorInputs];
  expect(made(inputs).map(({ columns, importance }) => [columns, ...importance])).toEqual([
    [2, 4, 2],
    [2, 1, 3],
  ]);
  expect(watched).toMatchObject({ columns: 2, isRouted: false });
});

test("tensorInputs() gives each wanted tensor once, those that share an input together, unlisted ones plainly at last", async () => {
  await using finished = await hessians([
    { weights: [QUERY, KEY], matrix: [8, 2, 2, 4], counts: [2] },
    { weights: ["blk.0.ffn_up.weight"], matrix: [1, 0, 0, 1], counts: [1] },
  ]);
  const widths = (name: string) => (name === "token_embd.weight" ? 3 : 2);
  const found = await allOf(tensorInputs(finished, ["token_embd.weight", KEY, QUERY], widths));
  expect(found.map(({ name }) => name)).toEqual([QUERY, KEY, "token_embd.weight"]);
  expect(found[1]!.inputs).toBe(found[0]!.inputs);
  expect(found[2]!.inputs.at(0)!.columns).toBe(3);
  expect(found[2]!.watched).toBeUndefined();
  expect(found[0]!.watched).toMatchObject({ name: QUERY, layer: 0, columns: 2, isRouted: false });
});

test("requireSameModel() takes statistics of a part of the model, and of one matrix for a stack", () => {
  const finished = inputsOf(
    { weights: [QUERY], columns: 4, matrices: 1 },
    { weights: [EXPERTS], columns: 4, matrices: 1 },
  );
  expect(() => requireSameModel(finished, model([QUERY, 4, 4], [KEY, 4, 2], [EXPERTS, 4, 8, 2]))).not.toThrow();
});

test.each([
  ["a weight that is not there", model([KEY, 4, 4]), `they have "${QUERY}", which the model lacks`],
  ["another width", model([QUERY, 8, 4], [EXPERTS, 4, 8, 2]), `4 columns of "${QUERY}", the model has 8`],
  [
    "other experts",
    model([QUERY, 4, 4], [EXPERTS, 4, 8, 6]),
    `2 times 4 columns of "${EXPERTS}", the model has 6 times 4`,
  ],
])("requireSameModel() refuses %s", (_what, tensors, message) => {
  const finished = inputsOf(
    { weights: [QUERY], columns: 4, matrices: 1 },
    { weights: [EXPERTS], columns: 4, matrices: 2 },
  );
  expect(() => requireSameModel(finished, tensors)).toThrow(message);
  expect(() => requireSameModel(finished, tensors)).toThrow(PareError);
});

test.each([
  ["a number that is none", { matrix: [1, 0, 0, Number.NaN] }, `number 3 of "${QUERY}.hessian" is NaN`],
  ["a negative count", { counts: [-1] }, `number 0 of "${QUERY}.counts" is -1`],
  ["counts for other matrices", { counts: [1, 1] }, `"${QUERY}.counts" is not 1 of f32`],
  [
    "neither one count nor one for each matrix",
    { matrices: 3, matrix: Array.from({ length: 12 }, () => 1), counts: [1, 1] },
    `"${QUERY}.counts" is not 1 or 3 of f32`,
  ],
])("HessianFile refuses %s", async (_what, fault, message) => {
  const path = await written([{ weights: [QUERY], matrix: [1, 0, 0, 1], counts: [1], ...fault }]);
  await using file = await HessianFile.open(path);
  await expect(file.read(QUERY)).rejects.toThrow(message);
  await expect(file.read(QUERY)).rejects.toBeInstanceOf(FormatError);
});

test.each([
  ["a name that is not listed", [QUERY], [KEY], `"${QUERY}" is stored as "${KEY}", which is not listed`],
  [
    "a chain of names",
    [QUERY, KEY, EXPERTS],
    [KEY, EXPERTS, EXPERTS],
    `"${QUERY}" is stored as "${KEY}", which is stored as "${EXPERTS}"`,
  ],
  ["names that are stored as each other", [QUERY, KEY], [KEY, QUERY], `which is stored as "${QUERY}"`],
  ["fewer names than weights", [QUERY, KEY], [QUERY], "it lists 2 weights under 1 names"],
])("HessianFile.open() refuses %s", async (_what, weights, storedAs, message) => {
  const path = folder.path("listed.gguf");
  const metadata = new Metadata()
    .set("general.type", "string", "hessian")
    .set("hessian.weights", "array", MetadataArray.of("string", weights))
    .set("hessian.stored_as", "array", MetadataArray.of("string", storedAs));
  const tensors = [QUERY, KEY, EXPERTS].flatMap((name) => [
    { name: `${name}.hessian`, shape: [2, 2], type: "f32" as const, chunks: () => [new Uint8Array(16)] },
    { name: `${name}.counts`, shape: [1, 1], type: "f32" as const, chunks: () => [new Uint8Array(4)] },
  ]);
  await writeGguf(path, { metadata, tensors });
  await expect(HessianFile.open(path)).rejects.toThrow(message);
  await expect(HessianFile.open(path)).rejects.toBeInstanceOf(FormatError);
});

test("statisticsKind() is none for a text, and an error for a GGUF file of another kind", async () => {
  expect(await statisticsKind(import.meta.filename)).toBeUndefined();
  expect(await statisticsKind(folder.path("nowhere"))).toBeUndefined();
  const path = folder.path("adapter.gguf");
  await writeGguf(path, { metadata: new Metadata().set("general.type", "string", "adapter"), tensors: [] });
  await expect(statisticsKind(path)).rejects.toThrow('it is of type "adapter", neither a text nor statistics');
});

test.each(["", "GGUF", "GGUF\x03\0\0", "GGUF is a file format, and this is a text about it"])(
  "statisticsKind() is none for a text that is %j",
  async (text) => {
    const path = folder.path("text.txt");
    writeFileSync(path, text);
    expect(await statisticsKind(path)).toBeUndefined();
  },
);

test("statisticsKind() names the form to give in place of importance data in the older one", async () => {
  const path = folder.path("imatrix.dat");
  const entry = importanceEntry(Float32Array.of(8, 4), Float32Array.of(2));
  await writeImportance(path, { entries: new Map([[QUERY, entry]]), chunkCount: 1, chunkSize: 2, datasets: [] });
  const refused = statisticsKind(path);
  await expect(refused).rejects.toThrow("it is importance data in the older form");
  await expect(refused).rejects.toMatchObject({ hint: expect.stringContaining("-o imatrix.gguf") as string });
  writeFileSync(path, "A text may be called .dat, too");
  expect(await statisticsKind(path)).toBeUndefined();
});

interface Given {
  weights: string[];
  matrices?: number;
  matrix: number[];
  counts: number[];
}

/** Of two columns. */
async function written(given: readonly Given[]): Promise<string> {
  const path = folder.path("hessians.gguf");
  const hessians = given.map(({ weights, matrices = 1, matrix, counts }): Hessian => {
    return { weights, columns: 2, matrices, matrix: Float32Array.from(matrix), counts: Float32Array.from(counts) };
  });
  await writeHessians(path, hessians);
  return path;
}

async function hessians(given: readonly Given[]): Promise<FinishedInputs> {
  return openFinishedInputs(await written(given));
}

function made(inputs: RoundingInputs): RoundingInput[] {
  return Array.from({ length: inputs.length }, (_, matrix) => inputs.at(matrix)!);
}

async function allOf(generated: AsyncIterable<TensorInputs>): Promise<TensorInputs[]> {
  const all: TensorInputs[] = [];
  for await (const one of generated) all.push(one);
  return all;
}

function inputsOf(...inputs: FinishedInputs["inputs"]): Pick<FinishedInputs, "path" | "kind" | "inputs"> {
  return { path: "statistics.gguf", kind: "hessian", inputs };
}

function model(...tensors: [name: string, ...shape: number[]][]): Map<string, { shape: number[] }> {
  return new Map(tensors.map(([name, ...shape]) => [name, { shape }]));
}
