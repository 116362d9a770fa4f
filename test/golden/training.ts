// Reads training.json, the PyTorch results that make-training-golden.py wrote, and computes the weights they belong to.
import { readFileSync } from "node:fs";

import { type LlamaShape, llamaTensors } from "../../src/graph/llama.js";
import type { Sequence } from "../../src/graph/token-batch.js";

export interface GoldenModel {
  shape: Record<
    "layers" | "width" | "feedForward" | "heads" | "kvHeads" | "headLength" | "vocabulary" | "epsilon" | "base",
    number
  > & {
    style: "norm" | "neox";
    bias: boolean;
    headNorm: boolean;
    tied: boolean;
    window: number | null;
  };
  loss: number;
  gradients: Record<string, number[]>;
  /** Loss of 20 steps of AdamW. */
  curve: number[];
  /** Loss of 20 steps of Adafactor. */
  adafactor: number[];
}

interface Golden {
  tokens: number[][];
  targets: number[][];
  documents: number[][];
  weights: number[][];
  models: Record<string, GoldenModel>;
}

const file = JSON.parse(readFileSync(new URL("training.json", import.meta.url), "utf8")) as Golden;

export const golden = {
  models: file.models,
  /** The batch that all models saw. */
  sequences: (): Sequence[] =>
    file.tokens.map((tokens, i) => ({
      tokens: Int32Array.from(tokens),
      documents: Int32Array.from(file.documents[i]!),
      targets: Int32Array.from(file.targets[i]!),
      weights: Float32Array.from(file.weights[i]!),
    })),
};

export function goldenShape({ shape }: GoldenModel): LlamaShape {
  const { base, style, bias, headNorm, tied, window, ...same } = shape;
  return {
    ...same,
    architecture: "llama",
    rope: { dimensions: shape.headLength, style, base, frequencyScale: 1 },
    hasRopeFactors: false,
    hasBias: bias,
    hasHeadNorm: headNorm,
    isTied: tied,
    windows: Array.from({ length: shape.layers }, () => window ?? undefined),
  };
}

/** Element i of tensor number t is sin(0.7 i + t) / 3, with 1 added where it is a norm's. */
export function goldenWeights(model: GoldenModel): Map<string, Float32Array> {
  return new Map(
    llamaTensors(goldenShape(model)).map(({ name, shape }, t) => [
      name,
      Float32Array.from(
        { length: shape.reduce((a, b) => a * b, 1) },
        (_, i) => Math.sin(0.7 * i + t) / 3 + (name.includes("norm") ? 1 : 0),
      ),
    ]),
  );
}
