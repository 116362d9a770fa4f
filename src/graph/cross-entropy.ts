// Cross-entropy with sparse targets: one token per row for labels, a few with their shares for a teacher's top-k list. The
// dense matrix of targets that `ggml_cross_entropy_loss` takes would be as large as the logits.
import type { Operations } from "./operations.js";
import { type Tensor, formatShape } from "./tensor.js";

/** Targets of a batch, as leaves that are filled before each step. */
export interface SparseTargets {
  /** i32 [targets]: row · vocabulary + token, each once. All targets of row 0 first, equally many for each row. */
  readonly indices: Tensor;
  /** f32 [1, targets]: the row's weight times the token's probability. */
  readonly shares: Tensor;
  /** f32 [1, rows]: the sum of a row's shares, 0 for a row that does not count. */
  readonly weights: Tensor;
}

/** What is added to a probability before its logarithm: it bounds a token's loss at 87 nats, and the gradient is exact. */
const PROBABILITY_MIN = 1.2e-38;

/**
 * −Σ share · log softmax(logits)[target], a scalar.
 *
 * With shares that sum to 1 over the batch it is the mean cross-entropy in nats per token. Probabilities take the place of
 * the logits in memory, and their gradient the place of the probabilities.
 *
 * @param logits [vocabulary, rows]
 * @throws {RangeError} when the targets are not for as many rows
 */
export function crossEntropy(f: Operations, logits: Tensor, targets: SparseTargets): Tensor {
  const [vocabulary, rows] = logits.shape;
  const count = targets.indices.shape[0];
  if (targets.weights.shape[1] !== rows || count % rows !== 0 || targets.shares.shape[1] !== count) {
    throw new RangeError(
      `Cannot compare logits ${formatShape(logits.shape)} with ${count} targets of ${targets.weights.shape[1]} rows`,
    );
  }
  if (vocabulary * rows >= 2 ** 31)
    throw new RangeError(`Cannot compute ${rows} rows of ${vocabulary} logits at once: fewer than 2^31 are possible`);
  const probabilities = f.raw("probabilities", [logits], (ggml, c) => ggml.ggml_soft_max(c, logits.pointer));
  const chosen = f.getRows(f.reshape(probabilities, 1, vocabulary * rows), targets.indices); // [1, targets]
  const weighted = f.mul(f.log(f.scale(chosen, 1, PROBABILITY_MIN)), targets.shares); // [1, targets]
  const loss = f.scale(f.sum(weighted), -1);
  return f.graph.record(
    f.ggml.ggml_reshape(f.graph.pointer, loss.pointer, loss.pointer),
    "crossEntropy",
    "f32",
    [logits, loss],
    {
      probabilities,
      targets,
    },
  );
}
