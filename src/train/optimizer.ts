// Optimizers as graphs over a store: what is kept between steps are tensors, what changes from step to step are scalars in
// leaves. AdamW keeps two numbers per weight. Adafactor keeps one per row and column of a matrix, for models whose states
// would not fit; it has no momentum, so it takes more steps to the same loss.
import type { Operations } from "../graph/operations.js";
import type { TensorStore } from "../graph/store.js";
import type { Tensor } from "../graph/tensor.js";
import { elementCount } from "../model/model.js";
import { adafactor } from "./adafactor.js";
import { adamW } from "./adamw.js";

export const OPTIMIZERS = ["adamw", "adafactor"] as const;
export type OptimizerName = (typeof OPTIMIZERS)[number];

export interface OptimizerSettings {
  /** Decay of the gradient's mean; 0.9. */
  beta1: number;
  /** Decay of its square's mean; 0.95 to 0.999. */
  beta2: number;
  /** Added to the root of the square's mean; 1e-8. */
  epsilon: number;
  /** Share of each matrix's weight that is taken off, times the rate; vectors don't decay. */
  weightDecay: number;
}

/** What changes from step to step. */
export interface StepScalars {
  /** From 1 on. */
  step: number;
  rate: number;
  /** What every gradient is multiplied by. */
  gradientScale: number;
}

export interface Optimizer {
  /** What is kept between steps, by name; a checkpoint holds it. */
  readonly states: ReadonlyMap<string, Tensor>;
  /** Records the update of every trained parameter. */
  record(f: Operations): void;
  /** Sets the leaves for the next step. */
  prepare(scalars: StepScalars): void;
}

/** An optimizer over the trained ones of these parameters; declares its states in their store. */
export function makeOptimizer(
  name: OptimizerName,
  store: TensorStore,
  parameters: ReadonlyMap<string, Tensor>,
  settings: OptimizerSettings,
): Optimizer {
  const trained = [...parameters.values()].filter(({ gradient }) => gradient);
  const scale = GradientScale.declare(store, trained);
  return name === "adamw" ? adamW(store, trained, scale, settings) : adafactor(store, trained, scale, settings);
}

/** A factor for every gradient, as a row: ggml multiplies by a row many times faster than by one number. */
export class GradientScale {
  private constructor(
    readonly store: TensorStore,
    readonly row: Tensor,
  ) {}

  static declare(store: TensorStore, trained: readonly Tensor[]): GradientScale {
    const columns = Math.max(...trained.map(({ shape }) => shape[0]));
    return new GradientScale(store, store.declare("gradient scale", "f32", [columns]));
  }

  set(factor: number): void {
    this.store.write(this.row, new Float32Array(elementCount(this.row.shape)).fill(factor));
  }

  /** A parameter's gradient, multiplied. */
  of(f: Operations, { gradient }: Tensor): Tensor {
    const columns = gradient!.shape[0];
    const part = f.raw("view", [this.row], (ggml, c) => ggml.ggml_view_1d(c, this.row.pointer, columns, 0));
    return f.mul(gradient!, part);
  }
}

/** True for what weight decay applies to. */
export function isMatrix({ shape }: Tensor): boolean {
  return shape[1] > 1;
}
