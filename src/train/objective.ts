// What a training step lowers: cross-entropy on the labels unless another objective is given, such as the distance to a
// teacher.
import { crossEntropy } from "../graph/cross-entropy.js";
import type { LlamaOutputs } from "../graph/llama.js";
import type { Operations } from "../graph/operations.js";
import type { TensorStore } from "../graph/store.js";
import type { Tensor } from "../graph/tensor.js";
import type { BatchInputs, Sequence } from "../graph/token-batch.js";

export interface Objective {
  /** The loss that is differentiated, [1]: over a batch whose targets' weights sum to 1, in nats per target. */
  loss(f: Operations, outputs: LlamaOutputs): Tensor;
  /** Another loss that is only looked at, such as the divergence from a teacher. */
  compare?: ((f: Operations, outputs: LlamaOutputs) => Tensor) | undefined;
  /** Fills the leaves that it has declared; the batch's own are filled already. */
  feed(batch: readonly Sequence[], weightTotal: number): void;
}

/** Makes an objective for batches of one size; its leaves are declared in the store. */
export type ObjectiveFactory = (store: TensorStore, inputs: BatchInputs) => Objective;

/** Mean cross-entropy on the labels. */
export const labelObjective: ObjectiveFactory = (_store, { targets }) => ({
  loss: (f, { logits }) => crossEntropy(f, logits, targets),
  feed: () => undefined,
});
