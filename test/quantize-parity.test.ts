// Pare's quantization against llama.cpp's own, tensor by tensor and byte by byte, with the same importance data.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { type Importance, importanceEntry, meanSquares } from "../src/calibrate/importance.js";
import { writeImportance } from "../src/calibrate/write-imatrix.js";
import { readGguf } from "../src/formats/gguf/read.js";
import { type LazyTensor, rowCount } from "../src/model/model.js";
import { openModel } from "../src/model/open.js";
import { parsePreset } from "../src/passes/quantize/presets.js";
import type { JobContext } from "../src/native/isolate.js";
import { isQuantizable } from "../src/passes/quantize/tensor-role.js";
import { run } from "../src/passes/quantize/quantize.job.js";
import { Random } from "../src/support/random.js";
import { referenceQuantize } from "./reference-quantize.js";
import { sharedModel } from "./shared.js";
import { type SyntheticModelOptions, writeSyntheticModel } from "./synthetic-model.js";

const TYPES = ["q4_0", "q8_0", "q4_K_M", "q5_K_M", "q6_K", "iq4_nl", "iq4_xs", "iq3_m", "q2_K"];
const WITH_IMPORTANCE_ONLY = ["q2_K_S", "iq3_xxs", "iq2_m", "iq2_xs", "iq2_xxs", "iq1_m", "iq1_s"];
const OTHER_TYPES = [
  "q4_1",
  "q5_0",
  "q5_1",
  "q3_K_L",
  "q5_K_S",
  "iq3_s",
  "tq1_0",
  "tq2_0",
  "q1_0",
  "q2_0",
  "mxfp4_moe",
  "f16",
  "bf16",
  "f32",
];

const folder = mkdtempSync(join(tmpdir(), "pare-parity-"));
afterAll(() => rmSync(folder, { recursive: true }));

// All combinations take minutes; without PARE_TEST_ALL=1 the larger models are tried with a few types.
const isThorough = process.env["PARE_TEST_ALL"] === "1";
const FEW_TYPES = isThorough ? TYPES : ["q8_0", "q4_K_M"];

const SYNTHETIC: Record<string, { options: SyntheticModelOptions; types: string[]; needy: string[] }> = {
  "f32, dense": {
    options: { layers: 2, feedForward: 256, vocabulary: 320, type: "f32" },
    types: [...TYPES, ...OTHER_TYPES],
    needy: isThorough ? WITH_IMPORTANCE_ONLY : ["q2_K_S", "iq2_m", "iq1_s"], // the others share their codebooks, and are slow
  },
  "f16, 8 experts, tied": {
    options: { layers: 1, feedForward: 256, vocabulary: 320, experts: 8, type: "f16", tied: true },
    types: isThorough ? [...TYPES, ...OTHER_TYPES] : ["q4_0", "q4_K_M", "iq4_xs", "q2_K", "mxfp4_moe"],
    needy: isThorough ? WITH_IMPORTANCE_ONLY : ["iq2_xxs"],
  },
};

for (const [name, { options, types, needy }] of Object.entries(SYNTHETIC)) {
  const path = join(folder, `${name.replaceAll(/\W+/g, "-")}.gguf`);
  const model = writeSyntheticModel(path, options).then(() => path);
  test.each(types)(`quantize() equals llama.cpp on rows of 256: ${name}, %s`, async (type) => {
    await expectParity(await model, type, { importance: false });
    await expectParity(await model, type, { importance: true });
  });
  test.each(needy)(`quantize() equals llama.cpp on rows of 256: ${name}, %s`, async (type) => {
    await expectParity(await model, type, { importance: true });
  });
}

const REAL: Record<string, readonly string[]> = {
  "stories260K-f32.gguf": TYPES, // rows of 64 and 172
  "stories15M-f16.gguf": FEW_TYPES, // rows of 288 and 768
  "minimind2-small-f16.gguf": isThorough ? TYPES : [], // rows of 512 and 1408
};

for (const [name, types] of Object.entries(REAL)) {
  const path = sharedModel(name);
  test.skipIf(!path).each(types)(`quantize() equals llama.cpp on ${name}, %s`, async (type) => {
    await expectParity(path!, type, { importance: false });
    await expectParity(path!, type, { importance: true });
  });
}

/** The job runs in this process here, to be quick; `quantize.test.ts` starts it as a child. */
const SILENT_JOB: JobContext = {
  progress: () => undefined,
  emit: () => undefined,
  flush: () => Promise.resolve(),
  messages: () => {
    throw new Error("quantizing takes no messages");
  },
};

async function expectParity(
  input: string,
  type: string,
  { importance: isWeighted }: { importance: boolean },
): Promise<void> {
  const [ours, theirs, statistics] = ["pare.gguf", "llama.gguf", "imatrix.gguf"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const importance = isWeighted ? await randomImportance(input) : undefined;
  if (importance) await writeImportance(statistics, importance, { format: "gguf" });
  const named = importance && { path: statistics, name: statistics };
  await run({ input, output: ours, options: { type }, importance: named, threads: 2, hash: false }, SILENT_JOB);
  const means = importance && new Map([...importance.entries].map(([name, entry]) => [name, meanSquares(entry)]));
  referenceQuantize(input, theirs, { fileType: parsePreset(type).fileType!, importance: means });
  await expectSameTensors(ours, theirs);
  if (!importance) await expectSameMetadata(ours, theirs);
}

async function expectSameTensors(ours: string, theirs: string): Promise<void> {
  await using a = await readGguf(ours);
  await using b = await readGguf(theirs);
  expect(a.tensors).toEqual(b.tensors.map((tensor) => ({ ...tensor, offset: expect.any(Number) })));
  for (const { name } of b.tensors) {
    const isSame = Buffer.compare(await a.readTensor(name), await b.readTensor(name)) === 0;
    expect(isSame, name).toBe(true);
  }
}

async function expectSameMetadata(ours: string, theirs: string): Promise<void> {
  await using a = await readGguf(ours);
  await using b = await readGguf(theirs);
  const entries = (file: typeof a) =>
    [...file.metadata.entries()].map(({ key, type, encoded }) => [key, type, Buffer.from(encoded).toString("base64")]);
  expect(entries(a)).toEqual(entries(b));
}

const statisticsByModel = new Map<string, Promise<Importance>>();

function randomImportance(path: string): Promise<Importance> {
  const known = statisticsByModel.get(path) ?? makeImportance(path);
  statisticsByModel.set(path, known);
  return known;
}

/** Seeded statistics for every matrix but the embedding; one expert of each stack was never chosen. */
async function makeImportance(path: string): Promise<Importance> {
  await using model = await openModel(path);
  const random = new Random(11);
  const matrices = [...model.tensors.values()].filter(
    (tensor) => isQuantizable(tensor) && tensor.name !== "token_embd.weight",
  );
  return {
    entries: new Map(matrices.map((tensor) => [tensor.name, randomEntry(tensor, random.fork(tensor.name))])),
    chunkCount: 4,
    chunkSize: 512,
    datasets: ["seeded.txt"],
  };
}

function randomEntry({ shape }: LazyTensor, random: Random) {
  const matrices = rowCount(shape) / (shape[1] ?? 1);
  const sums = Float32Array.from({ length: shape[0]! * matrices }, () => 2048 * random.normal() ** 2);
  const counts = new Float32Array(matrices).fill(2048);
  if (matrices > 1) {
    counts[3] = 0;
    sums.fill(0, 3 * shape[0]!, 4 * shape[0]!);
  }
  return importanceEntry(sums, counts);
}
