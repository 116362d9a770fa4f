// Memory is known before the first step, and where there is too little the error says what would fit.
import { afterAll, expect, test } from "vitest";

import { ResourceError } from "../errors.js";
import { loadEngine } from "../native/engine.js";
import { liveHandles } from "../native/handle.js";
import { CpuBackend } from "../native/matmul.js";
import { buildStep } from "./memory.js";
import { newShape } from "./new-model.js";
import type { StepSettings } from "./training-step.js";

const backend = CpuBackend.create(loadEngine(), 1);
afterAll(() => backend[Symbol.dispose]());

const shape = newShape({ architecture: "llama", layers: 6, width: 64, heads: 4 }, 256);
const settings: StepSettings = {
  microBatch: 8,
  contextLength: 64,
  checkpoint: false,
  products: "f32",
  optimizer: "adamw",
  optimizerSettings: { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
  clipNorm: 1,
};

test("buildStep() takes exactly the memory that it foresaw", () => {
  using step = buildStep(backend, shape, settings, 1e9);
  expect(step.memoryBytesTaken).toBeGreaterThan(1e6);
  using again = buildStep(backend, shape, settings, (step.memoryBytesTaken / 0.9) * 1.0001);
  expect(again.memoryBytesTaken).toBe(step.memoryBytesTaken);
});

test.each([
  [0.95, "--micro-batch 4 takes"],
  [0.35, "takes"],
  [0.19, "--optimizer adafactor takes"],
  [0.0001, "Free some memory, shorten --context, or train a smaller model"],
])("buildStep() with %f of the memory that it needs refuses with the numbers and what would fit", (share, hint) => {
  const before = liveHandles();
  const bytes = (() => {
    using step = buildStep(backend, shape, settings, 1e9);
    return step.memoryBytesTaken;
  })();
  const build = (): unknown => buildStep(backend, shape, settings, bytes * share);
  expect(build).toThrow(ResourceError);
  expect(build).toThrow(/Training takes [\d.]+ MB of memory, and [\d.]+ [MkB]+ are free/);
  expect(build).toThrow(expect.objectContaining({ hint: expect.stringContaining(hint) }));
  expect(liveHandles()).toBe(before);
});
