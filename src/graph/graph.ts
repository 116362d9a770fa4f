// A graph: nodes in the order in which they are computed, which is the order in which they were recorded. It is built once
// and computed at every step; the memory of its intermediate results comes from a workspace.
import { EngineError } from "../errors.js";
import type { GgmlType } from "../formats/gguf/ggml-types.js";
import { elementCount } from "../model/model.js";
import { tensorShape } from "../native/ggml.js";
import { NativeHandle } from "../native/handle.js";
import type { CpuBackend } from "../native/matmul.js";
import type { Operation, Tensor } from "./tensor.js";

/** Nodes of the largest graph; a model of 100 layers with its backward pass has some 15 000. */
const NODES_MAX = 65_536;

/** The types in which trained weights can enter a product. */
export const PRODUCT_TYPES = ["f32", "bf16", "f16"] as const;
export type ProductType = (typeof PRODUCT_TYPES)[number];

export interface GraphOptions {
  /** In which precision trained matrices are multiplied; sums are f32 always. By default f32. */
  products?: ProductType | undefined;
}

export class Graph extends NativeHandle {
  readonly backend: CpuBackend;
  readonly products: ProductType;
  readonly nodes: Tensor[] = [];
  #computed: bigint | undefined;

  private constructor(backend: CpuBackend, context: bigint, products: ProductType) {
    super(context, (pointer) => backend.engine.ggml.ggml_free(pointer));
    this.backend = backend;
    this.products = products;
  }

  static create(backend: CpuBackend, options: GraphOptions = {}): Graph {
    const { ggml } = backend.engine;
    const context = ggml.ggml_init({
      mem_size: ggml.ggml_tensor_overhead() * NODES_MAX + ggml.ggml_graph_overhead_custom(NODES_MAX, false),
      mem_buffer: null,
      no_alloc: true,
    });
    if (context === null) throw new EngineError("Cannot make a ggml context");
    return new Graph(backend, context, options.products ?? "f32");
  }

  /** Adds a node that ggml has made. */
  record<Name extends string>(
    pointer: bigint | null,
    name: Name,
    type: GgmlType,
    inputs: readonly Tensor[],
    attributes?: Operation<Name>["attributes"],
  ): Tensor {
    if (pointer === null) throw new EngineError(`ggml made no node for ${name}`);
    if (this.#computed !== undefined) throw new Error("A graph that was sealed takes no more nodes");
    const operation: Operation = { name, inputs, attributes };
    const node: Tensor = {
      pointer,
      name: `${name} at ${origin(inputs)}`,
      type,
      shape: tensorShape(pointer),
      needsGradient: inputs.some(({ needsGradient }) => needsGradient),
      operation,
    };
    this.nodes.push(node);
    return node;
  }

  /** Keeps a node's result readable after the graph was computed. */
  keep(tensor: Tensor): Tensor {
    this.backend.engine.ggml.ggml_set_output(tensor.pointer);
    return tensor;
  }

  /** `ggml_cgraph *` of all nodes; from here on there are no more. */
  seal(): bigint {
    if (this.#computed !== undefined) return this.#computed;
    const { ggml } = this.backend.engine;
    const computed = ggml.ggml_new_graph_custom(this.pointer, NODES_MAX, false)!;
    for (const { pointer } of this.nodes) ggml.ggml_build_forward_expand(computed, pointer);
    return (this.#computed = computed);
  }

  /** @throws {EngineError} when the backend fails */
  compute(): void {
    const { ggml } = this.backend.engine;
    const status = ggml.ggml_backend_graph_compute(this.backend.pointer, this.seal());
    if (status !== 0) throw new EngineError(`A graph failed: ${ggml.ggml_status_to_string(status)}`);
  }

  /** The elements of an f32 node that is kept. */
  read(tensor: Tensor): Float32Array {
    const values = new Float32Array(elementCount(tensor.shape));
    this.backend.engine.ggml.ggml_backend_tensor_get(tensor.pointer, values, 0, values.byteLength);
    return values;
  }
}

/** The parameter or input that names a node best: a parameter among the inputs, else where the first input came from. */
function origin(inputs: readonly Tensor[]): string {
  const leaf = inputs.find((input) => !input.operation && input.needsGradient) ?? inputs[0]!;
  return leaf.operation ? leaf.name.slice(leaf.name.indexOf(" at ") + 4) : leaf.name;
}
