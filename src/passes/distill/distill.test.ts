// Whole distillations in child processes: what they write, that a killed one goes on to the same bits, and what is refused.
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { temporaryFolder } from "../../../test/command.js";
import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import { llamaShape } from "../../graph/llama.js";
import { checkForEngine } from "../../model/check.js";
import type { Model } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { saveModel } from "../../model/save.js";
import type { Metrics } from "../../train/metrics.js";
import { loadEngine } from "../../native/engine.js";
import { PASSES } from "../registry.js";
import { distill } from "./distill.js";
import { distillOptionsSchema } from "./distill-options.js";
import type { DistillRequest } from "./settings.js";

const inputs = temporaryFolder();
const teacher = inputs.path("teacher.gguf");
const student = inputs.path("student.gguf");
const text = inputs.path("text.txt");
const other = inputs.path("other.txt");
const SMALL = { width: 32, feedForward: 48, vocabulary: 420, kvHeads: 2 } as const;
beforeAll(async () => {
  await writeSyntheticModel(teacher, { ...SMALL, layers: 3 });
  await writeSyntheticModel(student, { ...SMALL, layers: 1, seed: 5 });
  writeFileSync(text, "the rain in spain stays mainly in the plain. ".repeat(60));
  writeFileSync(other, "a quick brown fox jumps over a lazy dog. ".repeat(20));
});
afterAll(() => inputs[Symbol.dispose]());

const BASE = {
  contextLength: 16,
  batch: 4,
  steps: 12,
  rate: 0.01,
  validateEvery: 4,
  threads: 1,
  seed: 3,
  top: 16,
} as const;

const NEW = { architecture: "llama", layers: 1, width: 16, heads: 2 } as const;

/** What a run wrote of its numbers, without times. */
function curveOf(path: string): unknown[] {
  const lines = readFileSync(path, "utf8").trim().split("\n");
  return lines.map((line) => ({ ...JSON.parse(line), seconds: undefined }));
}

test("distill() brings a given student nearer to its teacher, and says what that took", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const seen: Metrics[] = [];
  const result = await distill(
    { ...BASE, teacher, student, texts: [text], guard: [other], output },
    { onMetrics: (metrics) => seen.push(metrics) },
  );
  expect(result).toMatchObject({ output, steps: 12, stopped: "finished", warnings: [], student: { origin: "given" } });
  const before = seen.find((line) => "validationLoss" in line);
  expect(result.validation!.lossBefore).toBe(before!.validationLoss);
  expect(result.validation!.divergence).toBeLessThan(before!.divergence!);
  expect(result.loss!.last).toBeLessThan(result.loss!.first);
  expect(result.guard!.tokens).toBeGreaterThan(0);
  expect(result.tokens).toBe(12 * 4 * 16);
  expect(result.taught.sizeBytes).toBeGreaterThan(result.taught.targets * (4 * 16 + 4));
  expect(result.taught.restMean).toBeGreaterThan(0);
  await using written = await openModel(output);
  await checkForEngine(written);
  expect(llamaShape(written).layers).toBe(1);
});

test("distill() cuts a student to the layers of lowest loss on text that the teacher writes", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const result = await distill({ ...BASE, teacher, layers: 2, sample: 1600, output });
  const { origin, layers, tried } = result.student;
  expect(origin).toBe("cut");
  expect(tried!.map((choice) => choice.layers)).toEqual([
    [0, 1],
    [0, 2],
    [1, 2],
  ]);
  expect(tried!.find((choice) => choice.layers.join() === layers!.join())!.loss).toBe(
    Math.min(...tried!.map(({ loss }) => loss)),
  );
  expect(result.taught.targets).toBe(95 * 16); // 100 sequences, 5 of them kept for validation
  expect(result.validation!.tokens).toBe(5 * 16);
  await using written = await openModel(output);
  expect(llamaShape(written).layers).toBe(2);
});

test("hidden states of a student are drawn to its teacher's, read and written, and the engine's are the graph's", async () => {
  using folder = temporaryFolder();
  // The teacher as its own student has nothing to learn: its states are what the file says.
  const same = { ...BASE, teacher, student: teacher, texts: [text], sample: 320, hidden: 100, steps: 1 };
  const still = await distill({ ...same, output: folder.path("same.gguf") });
  expect(still.loss!.first).toBeLessThan(0.01);
  const apart = { ...same, student, steps: 12, validateEvery: 12 };
  const result = await distill({ ...apart, output: folder.path("out.gguf") });
  expect(result.loss!.first).toBeGreaterThan(10);
  expect(result.loss!.last).toBeLessThan(0.8 * result.loss!.first);
});

test("distill() cuts a narrower student, which llama.cpp runs and which learns", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const narrow = { width: 24, heads: 2, feedForward: 32 };
  const result = await distill({ ...BASE, teacher, narrow, layers: 2, texts: [text], output });
  expect(result.validation!.loss).toBeLessThan(result.validation!.lossBefore);
  await using written = await openModel(output);
  await checkForEngine(written);
  expect(llamaShape(written)).toMatchObject({ ...narrow, layers: 2, kvHeads: 1, headLength: 8 });
  const again = await distill({
    ...BASE,
    teacher: output,
    student: output,
    texts: [text],
    steps: 1,
    output: folder.path("b.gguf"),
  });
  // The engine's loss on its file is the graph's.
  expect(Math.abs(again.validation!.lossBefore - again.validation!.lossOfTeacher!)).toBeLessThan(0.01);
});

test("distill() teaches a new student with the teacher's vocabulary", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const losses = { divergence: "jensen-shannon", temperature: 2, labels: 0.5 } as const;
  const result = await distill({ ...BASE, ...losses, teacher, shape: NEW, texts: [text], output, bar: 2 });
  expect(result.student.origin).toBe("new");
  expect(result.validation!.loss).toBeLessThan(result.validation!.lossBefore);
  expect(result.validation!.lossOfTeacher).toBeNull();
  expect(result.bar).toMatchObject({ loss: 2, isReached: false });
  await using written = await openModel(output);
  expect(llamaShape(written)).toMatchObject({ layers: 1, width: 16, vocabulary: 420 });
});

test("a student with frozen embeddings learns, and its embedding stays to the byte", async () => {
  using folder = temporaryFolder();
  const half = folder.path("half.gguf");
  await writeSyntheticModel(half, { ...SMALL, layers: 1, seed: 5, type: "f16" });
  const output = folder.path("out.gguf");
  const request = { ...BASE, teacher, student: half, texts: [text], products: "bf16", freezeEmbeddings: true } as const;
  const result = await distill({ ...request, output });
  expect(result.validation!.loss).toBeLessThan(result.validation!.lossBefore);
  await using before = await openModel(half);
  await using after = await openModel(output);
  const rows = (model: Model, name: string): Promise<Uint8Array> => model.tensors.get(name)!.readRows(0, 32);
  expect(await rows(after, "token_embd.weight")).toEqual(await rows(before, "token_embd.weight"));
  expect(after.tensors.get("output.weight")!.type).toBe("f16");
  expect(after.tensors.get("blk.0.attn_q.weight")!.type).toBe("f16");
});

test.each([1, 7])(
  "a run that is killed at step %i and asked for again has the same losses, and the same file, to the bit",
  async (step) => {
    using folder = temporaryFolder();
    const request = (output: string): DistillRequest => ({
      ...BASE,
      teacher,
      layers: 2,
      sample: 1600,
      guard: [other],
      output: folder.path(output),
      saveEvery: 2,
    });
    const whole = await distill(request("whole.gguf"));
    const controller = new AbortController();
    const killed = distill(request("killed.gguf"), {
      signal: controller.signal,
      onMetrics: (metrics) => "loss" in metrics && metrics.step === step && controller.abort(new Error("killed")),
    });
    await expect(killed).rejects.toThrow("killed");
    expect(existsSync(folder.path("killed.gguf"))).toBe(false);
    const taught = folder.path("killed.gguf.run/written-1.taught");
    const { mtimeMs } = statSync(taught);
    const again = await distill(request("killed.gguf"));
    expect(curveOf(again.metrics)).toEqual(curveOf(whole.metrics));
    expect(again.sha256).toBe(whole.sha256);
    expect(statSync(taught).mtimeMs).toBe(mtimeMs);
    if (step > 3) expect(again.resumedFrom).toBeGreaterThan(0);
  },
);

test("on-policy, the student learns from what it writes, and a killed run goes on to the same bits", async () => {
  using folder = temporaryFolder();
  const request = (output: string): DistillRequest => ({
    ...BASE,
    teacher,
    student,
    texts: [text],
    divergence: "reverse-kl",
    onPolicy: 4,
    steps: 10,
    saveEvery: 1,
    output: folder.path(output),
  });
  const whole = await distill(request("whole.gguf"));
  expect(whole).toMatchObject({ steps: 10, tokens: 10 * 4 * 16, stopped: "finished" });
  expect(whole.taught.targets).toBe(4 * 4 * 16); // the last round's
  expect(whole.validation!.divergence).toBeGreaterThan(0);
  expect(readdirSync(folder.path("whole.gguf.run"))).not.toContain("student-now.gguf");
  for (const step of [4, 7]) {
    const controller = new AbortController();
    const killed = distill(request("killed.gguf"), {
      signal: controller.signal,
      onMetrics: (metrics) => "loss" in metrics && metrics.step === step && controller.abort(new Error("killed")),
    });
    await expect(killed).rejects.toThrow("killed");
  }
  const again = await distill(request("killed.gguf"));
  expect(curveOf(again.metrics)).toEqual(curveOf(whole.metrics));
  expect(again.sha256).toBe(whole.sha256);
  expect(again.resumedFrom).toBeGreaterThan(3);
});

test("a run killed while the teacher reads goes on to the same file", async () => {
  using folder = temporaryFolder();
  const request = { ...BASE, teacher, student, texts: [text], sample: 160, output: folder.path("out.gguf") };
  const controller = new AbortController();
  const killed = distill(request, {
    signal: controller.signal,
    onProgress: ({ stage }) => stage === "teaching" && controller.abort(new Error("killed")),
  });
  await expect(killed).rejects.toThrow("killed");
  const again = await distill(request);
  const whole = await distill({ ...request, output: folder.path("whole.gguf") });
  expect(again.sha256).toBe(whole.sha256);
});

test("a student that gets further from its teacher elsewhere is stopped, and the last good one written", async () => {
  using folder = temporaryFolder();
  const request = { ...BASE, teacher, student: teacher, texts: [text], guard: [other], labels: 1, rate: 0.02 };
  const result = await distill({ ...request, validateEvery: 1, steps: 40, output: folder.path("out.gguf") });
  expect(result.stopped).toBe("worse elsewhere");
  expect(result.steps).toBeLessThan(40);
  expect(result.guard!.last).toBeGreaterThan(1.05 * result.guard!.best);
});

test("the distill pass gives the student that distill() writes, and leaves no file when it is closed", async () => {
  using folder = temporaryFolder();
  const { threads, ...base } = BASE;
  const options = { ...base, layers: 1, sample: 800, type: "f32" } as const;
  const context = { engine: loadEngine(), threads: 1, seed: 9 };
  const lean = await PASSES.distill.apply(await openModel(teacher), distillOptionsSchema.parse(options), context);
  const path = lean.path!;
  const saved = await saveModel(lean, folder.path("saved.gguf"));
  await lean.close();
  expect(existsSync(path)).toBe(false);
  const written = await distill({ ...options, threads, teacher, output: folder.path("out.gguf") });
  expect(saved.sha256).toBe(written.sha256);
});

test("a student larger than its teacher is allowed, and said", async () => {
  using folder = temporaryFolder();
  const result = await distill({
    ...BASE,
    teacher: student,
    student: teacher,
    texts: [text],
    steps: 1,
    output: folder.path("out.gguf"),
  });
  expect(result.warnings).toEqual([
    expect.stringMatching(/^The student is larger than its teacher: [\d,]+ parameters/),
  ]);
});

test.each([
  ["no text", { texts: [] }, /No text to learn on is given/],
  ["no student", { student: undefined }, /No student is given/],
  ["two students", { layers: 1 }, /A student is either given, or cut from its teacher, or new/],
  ["more layers than there are", { student: undefined, layers: 9 }, /9 layers can't be cut from a teacher of 3/],
  [
    "a width that the teacher has not",
    { student: undefined, narrow: { width: 64 } },
    /width of 64 can't be cut from a teacher with one of 32/,
  ],
  [
    "hidden states of another width",
    { student: undefined, shape: NEW, hidden: 1 },
    /student of width 16 can't be held to those of width 32/,
  ],
  ["a share of labels above 1", { labels: 2 }, /labels is 2, a share from 0 to 1 is wanted/],
  ["a temperature of 0", { temperature: 0 }, /temperature is 0, a number above 0 is wanted/],
  ["more listed tokens than there are", { top: 421 }, /A list of 421 tokens is wanted of a vocabulary of 420/],
  [
    "text of its own from a new student",
    { student: undefined, shape: NEW, onPolicy: 2 },
    /writes nothing worth scoring/,
  ],
  ["text of its own without an end", { onPolicy: 2, steps: undefined }, /A text that the student writes has no end/],
  ["a batch of none", { batch: 0 }, /batch is 0, a whole number above 0 is wanted/],
  ["an output that is the teacher", { output: teacher }, /Input and output are the same file/],
  ["a text that is not there", { texts: ["nothing.txt"] }, /Cannot read text "nothing.txt": no such file/],
  ["a text shorter than a sequence", { contextLength: 4096 }, /shorter than one sequence/],
])("distill() refuses %s", async (_what, change, message) => {
  using folder = temporaryFolder();
  const request = { ...BASE, teacher, student, texts: [text], output: folder.path("out.gguf"), ...change };
  await expect(distill(request as DistillRequest)).rejects.toThrow(message);
  expect(existsSync(folder.path("out.gguf"))).toBe(false);
});

test("distill() refuses a student of another vocabulary, and says where it differs", async () => {
  using folder = temporaryFolder();
  const longer = folder.path("longer.gguf");
  await writeSyntheticModel(longer, { ...SMALL, vocabulary: 430 });
  const request = { ...BASE, teacher, student: longer, texts: [text], output: folder.path("out.gguf") };
  await expect(distill(request)).rejects.toThrow("different vocabularies: 420 tokens and 430");
});
