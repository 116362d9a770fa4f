// What a rounding solver is given and what it returns. Rows of a matrix are independent of each other: a problem may
// hold all of them or a slab.
import type { GgmlType } from "../../../formats/gguf/ggml-types.js";

/** H = (I + U) D (I + U)ᵀ with U strictly upper triangular. */
export interface LdlFactor {
  columns: number;
  /** Uᵀ [columns × columns]: row j holds U_ij for i < j, then zeros. */
  upper: Float32Array;
  /** D, all positive. */
  diagonal: Float32Array;
}

/** How much time a solver may take for a better result. */
export type Effort = "fast" | "default" | "high";

/** Weights to round to a type so that Σ (w − q) H (w − q)ᵀ is small. */
export interface RoundingProblem {
  type: GgmlType;
  /** Targets [columns × rows], a row after the other. */
  weights: Float32Array;
  rows: number;
  columns: number;
  /** H, the damped mean of x xᵀ over the layer's inputs: [columns × columns], symmetric, positive definite. */
  hessian: Float32Array;
  factor: LdlFactor;
  effort: Effort;
}

export interface RoundingSolution {
  /** The rows as ggml stores them. */
  bytes: Uint8Array;
  /** (w − q) H (w − q)ᵀ of each row. */
  losses: Float64Array;
}
