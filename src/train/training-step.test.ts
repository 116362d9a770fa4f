// Training steps against PyTorch's: 20 steps of four models, whose losses test/golden/training.json holds.
import { afterAll, expect, test } from "vitest";

import { type GoldenModel, golden, goldenShape, goldenWeights } from "../../test/golden/training.js";
import { loadEngine } from "../native/engine.js";
import { CpuBackend } from "../native/matmul.js";
import { learningRate } from "./schedule.js";
import { DivergedError, type StepSettings, TrainingStep } from "./training-step.js";

const backend = CpuBackend.create(loadEngine(), 1);
afterAll(() => backend[Symbol.dispose]());

const STEPS = 20;
const SCHEDULE = {
  kind: "cosine",
  rate: 0.01,
  steps: STEPS,
  warmupSteps: 4,
  finalShare: 0.1,
  decayShare: 0.2,
} as const;

function stepOf(model: GoldenModel, settings: Partial<StepSettings> = {}): TrainingStep {
  const step = new TrainingStep(backend, goldenShape(model), {
    microBatch: 2,
    contextLength: 8,
    checkpoint: false,
    products: "f32",
    optimizer: "adamw",
    optimizerSettings: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
    clipNorm: 1,
    ...settings,
  }).allocate();
  const weights = goldenWeights(model);
  for (const [name, parameter] of step.parameters) step.store.write(parameter, weights.get(name)!);
  return step;
}

function curve(model: GoldenModel, settings: Partial<StepSettings> = {}): number[] {
  using step = stepOf(model, settings);
  return Array.from(
    { length: STEPS },
    (_, i) => step.run(i + 1, learningRate(i + 1, SCHEDULE), golden.sequences()).loss,
  );
}

const worst = (a: number[], b: number[]): number => Math.max(...a.map((x, i) => Math.abs(x - b[i]!) / b[i]!));

test.each(Object.keys(golden.models))("20 steps of AdamW on %s follow PyTorch's losses within 1e-3", (name) => {
  const model = golden.models[name]!;
  expect(worst(curve(model), model.curve)).toBeLessThan(1e-3);
});

test.each(Object.keys(golden.models))("20 steps of Adafactor on %s follow PyTorch's losses within 1e-3", (name) => {
  const model = golden.models[name]!;
  expect(worst(curve(model, { optimizer: "adafactor" }), model.adafactor)).toBeLessThan(1e-3);
});

test("gradients that are added up over micro-batches train as one batch does, and checkpoints as none", () => {
  const model = golden.models["qwen3"]!;
  const whole = curve(model);
  expect(worst(curve(model, { microBatch: 1 }), whole)).toBeLessThan(1e-4);
  expect(curve(model, { checkpoint: true })).toEqual(whole);
});

test("products in bf16 stay within 1e-2 of the losses in f32", () => {
  const model = golden.models["llama"]!;
  expect(worst(curve(model, { products: "bf16" }), curve(model))).toBeLessThan(1e-2);
});

test("a step whose logits are computed for the targets alone learns as one with all of them", () => {
  const model = golden.models["mistral"]!;
  const batch = golden
    .sequences()
    .map((row) => ({ ...row, weights: row.weights.map((w, i) => (i % 4 === 1 ? w : 0)) }));
  const few = (targetsMax?: number): number[] => {
    using step = stepOf(model, { targetsMax });
    return Array.from({ length: STEPS }, (_, i) => step.run(i + 1, 0.01, batch).loss);
  };
  expect(worst(few(4), few())).toBeLessThan(1e-5);
  expect(worst(few(7), few())).toBeLessThan(1e-5);
  expect(() => few(2)).toThrow("A batch of 2 targets at most is wanted, 3 count");
});

test("evaluate() is the loss before the step, and a batch is filled up with sequences that don't count", () => {
  const model = golden.models["llama"]!;
  using step = stepOf(model);
  using other = stepOf(model);
  using wide = stepOf(model, { microBatch: 3 });
  const batch = golden.sequences();
  expect(Math.abs(wide.evaluate(batch).loss - step.evaluate(batch).loss)).toBeLessThan(1e-6);
  expect(step.run(1, 0.01, batch).loss).toBe(other.evaluate(batch).loss);
});

test("documents of one sequence don't see each other: what the first holds changes nothing in the second", () => {
  const model = golden.models["llama"]!;
  using step = stepOf(model, { microBatch: 1 });
  const [first] = golden.sequences();
  const onlySecond = {
    ...first!,
    weights: first!.weights.map((weight, i) => (first!.documents[i] === 1 ? weight : 0)),
  };
  const other = {
    ...onlySecond,
    tokens: onlySecond.tokens.map((token, i) => (first!.documents[i] === 0 ? 15 - token : token)),
  };
  expect(step.evaluate([other]).loss).toBe(step.evaluate([onlySecond]).loss);
  const asOne = { ...other, documents: new Int32Array(8) };
  expect(step.evaluate([asOne]).loss).not.toBe(step.evaluate([onlySecond]).loss);
});

test("a weight that is NaN stops the step, names the tensor and leaves the other weights as they were", () => {
  const model = golden.models["llama"]!;
  using step = stepOf(model);
  const spoiled = goldenWeights(model).get("blk.1.ffn_up.weight")!;
  spoiled[5] = NaN;
  step.store.write(step.parameters.get("blk.1.ffn_up.weight")!, spoiled);
  const before = step.store.read(step.parameters.get("token_embd.weight")!);
  const run = (): unknown => step.run(7, 0.01, golden.sequences());
  expect(run).toThrow(DivergedError);
  expect(run).toThrow('Training went wrong at step 7: "blk.1.ffn_up.weight" holds NaN or infinity');
  expect(step.store.read(step.parameters.get("token_embd.weight")!)).toEqual(before);
});
