// The operations that graphs are built from: each checks shapes and types, as ggml would end the process, and records one
// node. Their gradients stand in gradients.ts. Shapes are in ggml order, the row's length first.
import { GGML_TYPES, type GgmlType } from "../formats/gguf/ggml-types.js";
import type { GgmlFunctions } from "../native/bindings.js";
import type { RopeSettings } from "./gradients.js";
import type { Graph } from "./graph.js";
import { type Shape, type Tensor, formatShape, paddedShape, sameShape } from "./tensor.js";

/** Rotates pairs of neighbours (`norm`) or of halves (`neox`); ggml's numbers. */
export const ROPE_MODES = { norm: 0, neox: 2 } as const;

/** Between which ggml converts in a graph. */
const PLAIN_TYPES: ReadonlySet<GgmlType> = new Set(["f32", "f16", "bf16"]);

export class Operations {
  readonly graph: Graph;
  readonly ggml: GgmlFunctions;
  readonly #context: bigint;
  /** Copies that were made: q, k and v share their input's. */
  readonly #transposed = new WeakMap<Tensor, Tensor>();

  constructor(graph: Graph) {
    this.graph = graph;
    this.ggml = graph.backend.engine.ggml;
    this.#context = graph.pointer;
  }

  /** a + b; b is repeated over a. */
  add(a: Tensor, b: Tensor): Tensor {
    requireRepeatable("add", a, b);
    return this.graph.record(this.ggml.ggml_add(this.#context, a.pointer, b.pointer), "add", "f32", [a, b]);
  }

  /** a − b; b is repeated over a. */
  sub(a: Tensor, b: Tensor): Tensor {
    requireRepeatable("sub", a, b);
    return this.graph.record(this.ggml.ggml_sub(this.#context, a.pointer, b.pointer), "sub", "f32", [a, b]);
  }

  /** a · b, element by element; b is repeated over a. */
  mul(a: Tensor, b: Tensor): Tensor {
    requireRepeatable("mul", a, b);
    return this.graph.record(this.ggml.ggml_mul(this.#context, a.pointer, b.pointer), "mul", "f32", [a, b]);
  }

  /** factor · a + offset. */
  scale(a: Tensor, factor: number, offset = 0): Tensor {
    requireFloats("scale", a);
    const pointer = this.ggml.ggml_scale_bias(this.#context, a.pointer, factor, offset);
    return this.graph.record(pointer, "scale", "f32", [a], { factor });
  }

  /** Natural logarithm. */
  log(a: Tensor): Tensor {
    requireFloats("log", a);
    return this.graph.record(this.ggml.ggml_log(this.#context, a.pointer), "log", "f32", [a]);
  }

  /** The sum of all elements, [1]. */
  sum(a: Tensor): Tensor {
    requireFloats("sum", a);
    return this.graph.record(this.ggml.ggml_sum(this.#context, a.pointer), "sum", "f32", [a]);
  }

  /** The sum of each row, [1, …]. */
  sumRows(a: Tensor): Tensor {
    requireFloats("sumRows", a);
    return this.graph.record(this.ggml.ggml_sum_rows(this.#context, a.pointer), "sumRows", "f32", [a]);
  }

  /**
   * aᵀ b: the dot products of a's rows with b's. A trained matrix enters in the graph's type of products, a frozen or a
   * quantized one in its own; on the way back all are multiplied in the graph's.
   *
   * @param a [k, m, p, q]
   * @param b [k, n, p·r, q·s], f32: each matrix of a meets r·s of b, as grouped heads do
   * @returns [m, n, p·r, q·s]
   */
  mulMat(a: Tensor, b: Tensor): Tensor {
    const isHalf = this.graph.products !== "f32" && a.operation === undefined;
    const left = isHalf && a.gradient && a.type === "f32" ? this.cast(a, this.graph.products) : a;
    const pointer = this.#product(left, b);
    return this.graph.record(pointer, "mulMat", "f32", [a, b], { isHalf });
  }

  /** `mulMat` that takes a and b in the types they have. It has no gradient. */
  product(a: Tensor, b: Tensor): Tensor {
    return this.graph.record(this.#product(a, b), "product", "f32", [a, b]);
  }

  #product(a: Tensor, b: Tensor): bigint | null {
    const fits = a.shape[0] === b.shape[0] && b.shape[2] % a.shape[2] === 0 && b.shape[3] % a.shape[3] === 0;
    if (!fits) throw mismatch("multiply rows of", a, b);
    if (b.type !== "f32" && b.type !== a.type)
      throw new TypeError(`Cannot multiply ${a.type} "${a.name}" by ${b.type} "${b.name}": f32 is wanted`);
    // What ggml converts to a's type may have gaps between its rows; what it takes as it is runs far slower with them.
    const isConverted = a.type !== b.type && this.ggml.ggml_is_contiguous_rows(b.pointer);
    return this.ggml.ggml_mul_mat(this.#context, a.pointer, isConverted ? b.pointer : this.contiguous(b).pointer);
  }

  /** x / √(mean(x²) + ε) for each row; [n, …]. */
  rmsNorm(a: Tensor, epsilon: number): Tensor {
    requireFloats("rmsNorm", a);
    const pointer = this.ggml.ggml_rms_norm(this.#context, a.pointer, epsilon);
    return this.graph.record(pointer, "rmsNorm", "f32", [a], { epsilon });
  }

  /**
   * Rotary position embedding.
   *
   * @param a [head length, heads, tokens]
   * @param positions i32 [tokens]
   */
  rope(a: Tensor, positions: Tensor, settings: RopeSettings): Tensor {
    requireFloats("rope", a);
    requireType("rope", positions, "i32");
    if (positions.shape[0] !== a.shape[2] || settings.dimensions > a.shape[0]) throw mismatch("rotate", a, positions);
    const pointer = this.ggml.ggml_rope_ext(this.#context, a.pointer, ...ropeArguments(positions, settings));
    return this.graph.record(pointer, "rope", "f32", [a], { positions, settings });
  }

  /**
   * softmax(scale · a + mask) over each row.
   *
   * @param a [keys, queries, heads, sequences]
   * @param mask f32 [keys, queries, 1, sequences or 1]: 0 where a query sees a key, −∞ where not
   */
  softMax(a: Tensor, options: { scale?: number; mask?: Tensor | undefined } = {}): Tensor {
    const { scale = 1, mask } = options;
    requireFloats("softMax", a);
    if (mask) {
      requireFloats("softMax", mask);
      const [keys, queries, heads, sequences] = mask.shape;
      const fits = keys === a.shape[0] && queries === a.shape[1] && heads === 1 && a.shape[3] % sequences === 0;
      if (!fits) throw mismatch("mask", a, mask);
    }
    const rows = this.contiguous(a);
    const pointer = this.ggml.ggml_soft_max_ext(this.#context, rows.pointer, mask?.pointer ?? null, scale, 0);
    return this.graph.record(pointer, "softMax", "f32", [rows], { scale });
  }

  /** silu(gate) · up. */
  swiglu(gate: Tensor, up: Tensor): Tensor {
    if (!sameShape(gate.shape, up.shape)) throw mismatch("gate", gate, up);
    requireFloats("swiglu", gate);
    requireFloats("swiglu", up);
    const pointer = this.ggml.ggml_swiglu_split(this.#context, gate.pointer, up.pointer);
    return this.graph.record(pointer, "swiglu", "f32", [gate, up]);
  }

  /**
   * The rows of a table, such as an embedding, as f32.
   *
   * @param table [k, rows] of any type
   * @param indices i32 [n], each below rows: ggml ends the process otherwise
   * @returns [k, n]
   */
  getRows(table: Tensor, indices: Tensor): Tensor {
    requireType("getRows", indices, "i32");
    if (table.shape[2] * table.shape[3] !== 1 || formatShape(indices.shape) !== `[${indices.shape[0]}]`)
      throw mismatch("look up", table, indices);
    const pointer = this.ggml.ggml_get_rows(this.#context, table.pointer, indices.pointer);
    return this.graph.record(pointer, "getRows", "f32", [table], { indices });
  }

  /** The same elements in another shape. */
  reshape(a: Tensor, ...lengths: number[]): Tensor {
    const shape = paddedShape(lengths);
    const count = (s: Shape): number => s[0] * s[1] * s[2] * s[3];
    if (count(shape) !== count(a.shape))
      throw new RangeError(`Cannot reshape ${formatShape(a.shape)} of "${a.name}" to ${formatShape(shape)}`);
    const pointer = this.ggml.ggml_reshape_4d(this.#context, this.contiguous(a).pointer, ...shape);
    return this.graph.record(pointer, "reshape", a.type, [a]);
  }

  /** Dimension i of a becomes dimension axes[i]; nothing is moved, so a product may want `contiguous` of it. */
  permute(a: Tensor, axes: Shape): Tensor {
    if ([...axes].sort().join() !== "0,1,2,3") throw new RangeError(`Cannot permute by ${axes.join(", ")}`);
    return this.graph.record(this.ggml.ggml_permute(this.#context, a.pointer, ...axes), "permute", a.type, [a], {
      axes,
    });
  }

  /** The elements in the order of the shape: a itself where they are. */
  contiguous(a: Tensor): Tensor {
    // With one element a row or one row, what was transposed counts as contiguous, and products refuse it all the same.
    if (this.ggml.ggml_is_contiguous(a.pointer) && !this.ggml.ggml_is_transposed(a.pointer)) return a;
    return this.graph.record(this.ggml.ggml_cont(this.#context, a.pointer), "contiguous", a.type, [a]);
  }

  /** The elements in another type, in the order of the shape. It has no gradient. */
  cast(a: Tensor, type: GgmlType): Tensor {
    const isDecoded = GGML_TYPES[a.type].quantized && type === "f32";
    if (!PLAIN_TYPES.has(type) || !(PLAIN_TYPES.has(a.type) || isDecoded))
      throw new TypeError(`Cannot cast "${a.name}" from ${a.type} to ${type}`);
    return this.graph.record(this.ggml.ggml_cast(this.#context, a.pointer, GGML_TYPES[type].id), "cast", type, [a]);
  }

  /** Rows as columns, in the order of the shape: [k, m, …] to [m, k, …]. It has no gradient. */
  transposed(a: Tensor, type: GgmlType = "f32"): Tensor {
    const known = this.#transposed.get(a);
    if (known?.type === type) return known;
    const plain = GGML_TYPES[a.type].quantized ? this.cast(a, "f32") : a;
    const swapped = this.permute(plain, [1, 0, 2, 3]);
    const copy = plain.type === type ? this.contiguous(swapped) : this.cast(swapped, type);
    this.#transposed.set(a, copy);
    return copy;
  }

  /**
   * Runs a part of the graph and keeps of it only the result; the rest is computed again when gradients are wanted
   * (Chen et al., 2016, arXiv:1604.06174).
   *
   * @param input what the part starts from; other tensors that it uses must be leaves
   */
  checkpoint(input: Tensor, segment: (input: Tensor) => Tensor): Tensor {
    const output = segment(input);
    const pointer = this.ggml.ggml_reshape(this.#context, output.pointer, output.pointer);
    // The output stands among the inputs to tell whether anything in the part is trained.
    return this.graph.record(pointer, "checkpoint", "f32", [input, output], { segment });
  }

  /** Any other ggml node, made by a function of context and library: for derivatives and optimizers. It has no gradient. */
  raw(
    name: string,
    inputs: readonly Tensor[],
    make: (ggml: GgmlFunctions, context: bigint) => bigint | null,
    type: GgmlType = "f32",
  ): Tensor {
    return this.graph.record(make(this.ggml, this.#context), name, type, inputs);
  }
}

/** What `ggml_rope_ext` and `ggml_rope_ext_back` take after the tensor. */
export function ropeArguments(positions: Tensor, settings: RopeSettings) {
  const { dimensions, style, base, frequencyScale, factors } = settings;
  const mode = ROPE_MODES[style];
  return [positions.pointer, factors?.pointer ?? null, dimensions, mode, 0, base, frequencyScale, 0, 1, 32, 1] as const;
}

function requireFloats(what: string, a: Tensor): void {
  requireType(what, a, "f32");
}

function requireType(what: string, a: Tensor, type: GgmlType): void {
  if (a.type !== type) throw new TypeError(`Cannot compute ${what} of ${a.type} "${a.name}": ${type} is wanted`);
}

function requireRepeatable(what: string, a: Tensor, b: Tensor): void {
  requireFloats(what, a);
  requireFloats(what, b);
  if (a.shape.some((length, i) => length % b.shape[i]! > 0)) throw mismatch(what, a, b);
}

function mismatch(what: string, a: Tensor, b: Tensor): RangeError {
  return new RangeError(
    `Cannot ${what} ${formatShape(a.shape)} of "${a.name}" and ${formatShape(b.shape)} of "${b.name}": the shapes don't fit`,
  );
}
