// Reverse-mode differentiation: walks a graph from the loss to its parameters and records, for every node that a trained
// parameter had part in, the products that gradients.ts has for it. Parameters add up their gradients in place.
import { VECTOR_JACOBIAN_PRODUCTS } from "./gradients.js";
import type { Operations } from "./operations.js";
import type { OperationName, Tensor } from "./tensor.js";

/** Gradients that wait for their node to be reached. */
type Pending = Map<Tensor, Tensor>;

/**
 * Records the gradient of a scalar with respect to every trained parameter.
 *
 * @param seed f32 [1]: ∂L/∂output, a leaf that holds 1
 * @throws {TypeError} when an operation on the way has no gradient
 */
export function backpropagate(f: Operations, output: Tensor, seed: Tensor): void {
  if (!output.needsGradient) throw new TypeError(`Nothing that "${output.name}" was computed from is trained`);
  walk(f, 0, new Map([[output, seed]]));
}

function walk(f: Operations, from: number, pending: Pending): void {
  for (const node of f.graph.nodes.slice(from).reverse()) {
    const g = pending.get(node);
    if (!g) continue;
    pending.delete(node);
    if (node.operation!.name === "checkpoint") walkAgain(f, node, g, pending);
    else pass(f, node, g, pending);
  }
}

/** Hands a node's gradient on to its inputs. */
function pass(f: Operations, node: Tensor, g: Tensor, pending: Pending): void {
  const { name, inputs } = node.operation!;
  const product = VECTOR_JACOBIAN_PRODUCTS[name as Exclude<OperationName, "checkpoint">];
  if (!product) throw new TypeError(`There is no gradient of ${node.name}`);
  const contributions = product(f, node as never, g);
  contributions.forEach((contribution, i) => {
    const input = inputs[i]!;
    if (input.needsGradient) deposit(f, input, contribution(), pending);
  });
}

function deposit(f: Operations, input: Tensor, contribution: Tensor, pending: Pending): void {
  if (input.gradient) {
    const { pointer } = input.gradient;
    f.raw("gradient", [input.gradient, contribution], (ggml, c) =>
      ggml.ggml_add_inplace(c, pointer, contribution.pointer),
    );
    return;
  }
  const sum = pending.get(input);
  pending.set(input, sum ? f.add(sum, contribution) : contribution);
}

/** Computes a checkpointed part again, from a copy of its input that has no past, and walks through it at once. */
function walkAgain(f: Operations, node: Tensor, g: Tensor, pending: Pending): void {
  const { inputs, attributes } = node.operation!;
  const input = inputs[0]!;
  const start: Tensor = { ...input, operation: undefined };
  const from = f.graph.nodes.length;
  const output = (attributes as { segment: (input: Tensor) => Tensor }).segment(start);
  const inner: Pending = new Map([[output, g]]);
  walk(f, from, inner);
  const contribution = inner.get(start);
  if (contribution) deposit(f, input, contribution, pending);
}
