// Probabilities of a few tokens of each row, out of a softmax over all of them: what a loss against a teacher's top-k list
// is made from. All other tokens together have what is left of 1. The gradient is exact and made in the memory of the
// probabilities, so that a list of k costs no more than one label.
import type { Operations } from "./operations.js";
import { type Tensor, formatShape } from "./tensor.js";

/**
 * softmax(scale · logits) at some tokens of each row.
 *
 * @param logits [vocabulary, rows]
 * @param indices i32 [chosen · rows]: row · vocabulary + token, each once. All of row 0 first, equally many for each row
 * @param scale 1 / temperature
 * @returns [chosen, rows]
 * @throws {RangeError} when the indices are not for as many rows
 */
export function chosenProbabilities(f: Operations, logits: Tensor, indices: Tensor, scale = 1): Tensor {
  const [vocabulary, rows] = logits.shape;
  const count = indices.shape[0];
  if (count % rows !== 0)
    throw new RangeError(`Cannot choose ${count} of logits ${formatShape(logits.shape)}: each row needs as many`);
  if (vocabulary * rows >= 2 ** 31)
    throw new RangeError(`Cannot compute ${rows} rows of ${vocabulary} logits at once: fewer than 2^31 are possible`);
  const probabilities = f.raw("probabilities", [logits], (ggml, c) =>
    ggml.ggml_soft_max_ext(c, logits.pointer, null, scale, 0),
  );
  const chosen = f.getRows(f.reshape(probabilities, 1, vocabulary * rows), indices); // [1, chosen·rows]
  const pointer = f.ggml.ggml_reshape_2d(f.graph.pointer, chosen.pointer, count / rows, rows);
  return f.graph.record(pointer, "chosenProbabilities", "f32", [logits, chosen], { probabilities, indices, scale });
}
