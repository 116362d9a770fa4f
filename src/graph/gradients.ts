// The table of vector-Jacobian products: for each operation, what the gradient of its result (∂L/∂result, always
// contiguous f32) makes of the gradients of its inputs. Each entry is a function that is called only when the input needs
// it, so a frozen parameter costs nothing.
import { GGML_TYPES, rowSizeBytes } from "../formats/gguf/ggml-types.js";
import type { ProductType } from "./graph.js";
import type { Operations } from "./operations.js";
import { ropeArguments } from "./operations.js";
import { type Operation, type OperationName, type Shape, type Tensor, sameShape } from "./tensor.js";
import type { SparseTargets } from "./cross-entropy.js";

/** How positions are rotated into heads. */
export interface RopeSettings {
  /** Elements of each head that are rotated. */
  readonly dimensions: number;
  readonly style: "norm" | "neox";
  /** θ of the slowest pair; 10 000 in the first models, up to some millions for long contexts. */
  readonly base: number;
  /** Positions are multiplied by it; 1 where nothing is stretched. */
  readonly frequencyScale: number;
  /** f32 [dimensions / 2]: divisors of each pair's frequency, as Llama 3 has them. */
  readonly factors?: Tensor | undefined;
}

/** What each operation keeps for its gradient. */
export interface Attributes {
  add: undefined;
  sub: undefined;
  mul: undefined;
  scale: { factor: number };
  log: undefined;
  sum: undefined;
  sumRows: undefined;
  mulMat: { isHalf: boolean };
  rmsNorm: { epsilon: number };
  rope: { positions: Tensor; settings: RopeSettings };
  softMax: { scale: number };
  swiglu: undefined;
  getRows: { indices: Tensor };
  reshape: undefined;
  permute: { axes: Shape };
  contiguous: undefined;
  crossEntropy: { probabilities: Tensor; targets: SparseTargets };
  chosenProbabilities: { probabilities: Tensor; indices: Tensor; scale: number };
  checkpoint: { segment: (input: Tensor) => Tensor };
}

/** A node with its operation known. */
type Node<Name extends OperationName> = Tensor & { operation: Operation<Name> };
type Lazy = () => Tensor;
type Products = {
  readonly [Name in Exclude<OperationName, "checkpoint">]: (f: Operations, node: Node<Name>, g: Tensor) => Lazy[];
};

/** `checkpoint` is not here: it is a part of a graph, and `backpropagate` walks through it. */
export const VECTOR_JACOBIAN_PRODUCTS: Products = {
  add: (
    f,
    {
      operation: {
        inputs: [, b],
      },
    },
    g,
  ) => [() => g, () => sumTo(f, g, b!)],
  sub: (
    f,
    {
      operation: {
        inputs: [, b],
      },
    },
    g,
  ) => [() => g, () => f.scale(sumTo(f, g, b!), -1)],
  mul: (
    f,
    {
      operation: {
        inputs: [a, b],
      },
    },
    g,
  ) => [() => f.mul(g, b!), () => sumTo(f, f.mul(g, a!), b!)],
  scale: (f, { operation: { attributes } }, g) => [() => f.scale(g, attributes.factor)],
  log: (
    f,
    {
      operation: {
        inputs: [a],
      },
    },
    g,
  ) => [() => f.raw("div", [g, a!], (ggml, c) => ggml.ggml_div(c, g.pointer, a!.pointer))],
  sum: (
    f,
    {
      operation: {
        inputs: [a],
      },
    },
    g,
  ) => [() => repeat(f, g, a!)],
  sumRows: (
    f,
    {
      operation: {
        inputs: [a],
      },
    },
    g,
  ) => [() => repeat(f, g, a!)],

  // y = aᵀ b: ∂a = b gᵀ and ∂b = a g, both as products of rows: ggml's `out_prod` is slower than a transposed copy.
  mulMat: (
    f,
    {
      operation: {
        inputs: [a, b],
        attributes,
      },
    },
    g,
  ) => {
    const type = attributes.isHalf ? f.graph.products : "f32";
    return [
      () => sumGroups(f, f.product(f.transposed(b!, type), f.transposed(g, type)), a!),
      () => productWithColumns(f, a!, g, type),
    ];
  },

  rmsNorm: (
    f,
    {
      operation: {
        inputs: [a],
        attributes,
      },
    },
    g,
  ) => [
    () =>
      f.raw("rmsNormBack", [g, a!], (ggml, c) => ggml.ggml_rms_norm_back(c, g.pointer, a!.pointer, attributes.epsilon)),
  ],
  rope: (
    f,
    {
      operation: {
        attributes: { positions, settings },
      },
    },
    g,
  ) => [
    () =>
      f.raw("ropeBack", [g], (ggml, c) => ggml.ggml_rope_ext_back(c, g.pointer, ...ropeArguments(positions, settings))),
  ],
  softMax: (f, node, g) => [
    () =>
      f.raw("softMaxBack", [g, node], (ggml, c) =>
        ggml.ggml_soft_max_ext_back(c, g.pointer, node.pointer, node.operation.attributes.scale, 0),
      ),
  ],
  swiglu: (
    f,
    {
      operation: {
        inputs: [gate, up],
      },
    },
    g,
  ) => [
    () => {
      const scaled = f.mul(g, up!);
      return f.raw("siluBack", [scaled, gate!], (ggml, c) => ggml.ggml_silu_back(c, scaled.pointer, gate!.pointer));
    },
    () =>
      f.mul(
        f.raw("silu", [gate!], (ggml, c) => ggml.ggml_silu(c, gate!.pointer)),
        g,
      ),
  ],
  getRows: (
    f,
    {
      operation: {
        inputs: [table],
        attributes: { indices },
      },
    },
    g,
  ) => [
    () =>
      f.raw("getRowsBack", [g, table!], (ggml, c) =>
        ggml.ggml_get_rows_back(c, g.pointer, indices.pointer, table!.pointer),
      ),
  ],

  reshape: (
    f,
    {
      operation: {
        inputs: [a],
      },
    },
    g,
  ) => [() => f.reshape(g, ...a!.shape)],
  permute: (
    f,
    {
      operation: {
        attributes: { axes },
      },
    },
    g,
  ) => [() => f.contiguous(f.permute(g, inverse(axes)))],
  contiguous: (_f, _node, g) => [() => g],

  // ∂logits = g · (weight · softmax(logits) − share at the targets), made in the memory of the probabilities.
  crossEntropy: (
    f,
    {
      operation: {
        attributes: { probabilities, targets },
      },
    },
    g,
  ) => [
    () => {
      const vocabulary = probabilities.shape[0];
      const all = f.mul(probabilities, f.mul(targets.weights, g)); // [vocabulary, tokens]
      const cells = f.reshape(all, 1, vocabulary * all.shape[1]);
      const chosen = f.sub(f.getRows(cells, targets.indices), f.mul(targets.shares, g)); // [1, targets]
      const mixed = f.raw("setRows", [cells, chosen], (ggml, c) =>
        ggml.ggml_set_rows(c, cells.pointer, chosen.pointer, targets.indices.pointer),
      );
      return f.reshape(mixed, vocabulary, all.shape[1]);
    },
  ],

  // With h = g at the chosen and 0 elsewhere: ∂logits = scale · p · (h − Σ p h).
  chosenProbabilities: (f, node, g) => [
    () => {
      const { probabilities, indices, scale } = node.operation.attributes;
      const [vocabulary, rows] = probabilities.shape;
      const pulled = f.scale(f.mul(node, g), scale); // [chosen, rows]
      const all = f.mul(probabilities, f.scale(f.sumRows(pulled), -1)); // [vocabulary, rows]
      const cells = f.reshape(all, 1, vocabulary * rows);
      const chosen = f.add(f.getRows(cells, indices), f.reshape(pulled, 1, indices.shape[0]));
      const mixed = f.raw("setRows", [cells, chosen], (ggml, c) =>
        ggml.ggml_set_rows(c, cells.pointer, chosen.pointer, indices.pointer),
      );
      return f.reshape(mixed, vocabulary, rows);
    },
  ],
};

/** Bytes of a row up to which ggml's products run well: it does not block them, and longer rows fall out of the cache. */
const ROW_BYTES_MAX = 8192;

/**
 * a g, for a [k, m, …] and g [m, n, …]. Where m is a vocabulary, it is summed up over parts of it.
 *
 * @param type in which a enters
 */
function productWithColumns(f: Operations, a: Tensor, g: Tensor, type: ProductType): Tensor {
  const [k, m, p, q] = a.shape;
  const part = ROW_BYTES_MAX / GGML_TYPES[type].typeSizeBytes;
  if (m <= 2 * part || p * q > 1) return f.product(f.transposed(a, type), g);
  const n = g.shape[1] * g.shape[2] * g.shape[3];
  let sum: Tensor | undefined;
  for (let start = 0; start < m; start += part) {
    const count = Math.min(part, m - start);
    const rowBytes = rowSizeBytes(a.type, k);
    const rows = f.raw(
      "view",
      [a],
      (ggml, c) => ggml.ggml_view_2d(c, a.pointer, k, count, rowBytes, start * rowBytes),
      a.type,
    ); // [k, count]
    const columns = f.raw("view", [g], (ggml, c) => ggml.ggml_view_2d(c, g.pointer, count, n, m * 4, start * 4)); // [count, n]
    const product = f.product(f.transposed(rows, type), columns); // [k, n]
    sum = sum ? f.add(sum, product) : product;
  }
  return f.reshape(sum!, k, g.shape[1], g.shape[2], g.shape[3]);
}

/** Sums a gradient over what an input was repeated along. */
function sumTo(f: Operations, g: Tensor, input: Tensor): Tensor {
  if (sameShape(g.shape, input.shape)) return g;
  return f.raw("repeatBack", [g, input], (ggml, c) => ggml.ggml_repeat_back(c, g.pointer, input.pointer));
}

function repeat(f: Operations, g: Tensor, like: Tensor): Tensor {
  return f.raw("repeat", [g, like], (ggml, c) => ggml.ggml_repeat(c, g.pointer, like.pointer));
}

/**
 * Sums the gradients that a matrix got from each matrix it met in a product: neighbours of dimension 2, as the query heads
 * of one key head are.
 *
 * @param g [k, m, p·r, q·s]
 * @param input [k, m, p, q]
 */
function sumGroups(f: Operations, g: Tensor, input: Tensor): Tensor {
  if (sameShape(g.shape, input.shape)) return g;
  const [k, m, p, q] = input.shape;
  if (g.shape[3] !== q) throw new RangeError(`The gradient of "${input.name}" has ${g.shape[3]} matrices for ${q}`);
  const groups = f.reshape(g, k * m, g.shape[2] / p, p * q);
  const sums = f.raw("repeatBack", [groups], (ggml, c) =>
    ggml.ggml_repeat_back(c, groups.pointer, ggml.ggml_new_tensor_3d(c, 0, k * m, 1, p * q)),
  );
  return f.reshape(sums, k, m, p, q);
}

/** The axes that undo a permutation. */
function inverse(axes: Shape): Shape {
  return [0, 1, 2, 3].map((axis) => axes.indexOf(axis)) as unknown as Shape;
}
