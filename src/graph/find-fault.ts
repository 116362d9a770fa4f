// Which tensor of a graph is the first that holds NaN or infinity. Results share memory, so after a computation most are
// gone: the graph is computed again, node by node, and each result is looked at before it is overwritten.
import { elementCount } from "../model/model.js";
import type { Graph } from "./graph.js";
import type { Tensor } from "./tensor.js";

/** Nodes that compute nothing: another look at the memory of their input. */
const VIEWS = new Set(["reshape", "permute", "checkpoint"]);

/**
 * The first parameter, else the first result, that is not finite; undefined when all are.
 *
 * @param leaves parameters to look at before anything is computed
 */
export function findFault(graph: Graph, leaves: Iterable<Tensor>): Tensor | undefined {
  for (const leaf of leaves) if (leaf.type === "f32" && !isFinite(graph, leaf)) return leaf;
  const { ggml } = graph.backend.engine;
  const context = ggml.ggml_init({ mem_size: ggml.ggml_graph_overhead(), mem_buffer: null, no_alloc: true });
  const single = ggml.ggml_new_graph(context)!;
  try {
    for (const node of graph.nodes) {
      ggml.ggml_graph_clear(single);
      ggml.ggml_graph_add_node(single, node.pointer);
      ggml.ggml_backend_graph_compute(graph.backend.pointer, single);
      if (node.type === "f32" && !VIEWS.has(node.operation!.name) && !isFinite(graph, node)) return node;
    }
    return undefined;
  } finally {
    ggml.ggml_free(context);
  }
}

function isFinite(graph: Graph, tensor: Tensor): boolean {
  const values = new Float32Array(elementCount(tensor.shape));
  graph.backend.engine.ggml.ggml_backend_tensor_get(tensor.pointer, values, 0, values.byteLength);
  return values.every(Number.isFinite);
}
