// Memory for the intermediate results of one or several graphs that are computed in turn: planned once by ggml's graph
// allocator, so that a result takes the place of one that is no longer needed, and never allocated again.
import { EngineError, ResourceError } from "../errors.js";
import { NativeHandle } from "../native/handle.js";
import type { CpuBackend } from "../native/matmul.js";
import { formatBytes } from "../support/units.js";
import type { Graph } from "./graph.js";

export class Workspace extends NativeHandle {
  readonly sizeBytes: number;

  private constructor(backend: CpuBackend, pointer: bigint, sizeBytes: number) {
    super(pointer, (p) => backend.engine.ggml.ggml_gallocr_free(p));
    this.sizeBytes = sizeBytes;
  }

  /**
   * Gives every node of these graphs its place. All share one buffer, the size of what the hungriest needs.
   *
   * @throws {ResourceError} when there is not so much memory
   */
  static place(backend: CpuBackend, graphs: readonly Graph[]): Workspace {
    const { ggml } = backend.engine;
    const sizes = new Map(graphs.map((graph) => [graph, workspaceBytes(graph)]));
    const largestFirst = graphs.toSorted((a, b) => sizes.get(b)! - sizes.get(a)!);
    const pointer = newAllocator(backend);
    const workspace = new Workspace(backend, pointer, sizes.get(largestFirst[0]!)!);
    for (const graph of largestFirst) {
      if (ggml.ggml_gallocr_alloc_graph(pointer, graph.seal())) continue;
      workspace[Symbol.dispose]();
      throw new ResourceError(`Cannot allocate ${formatBytes(sizes.get(graph)!)} for intermediate results`);
    }
    return workspace;
  }
}

/** Bytes that a graph's intermediate results take, exactly, without taking them. Its stores must be reserved before. */
export function workspaceBytes(graph: Graph): number {
  const { ggml } = graph.backend.engine;
  const allocator = newAllocator(graph.backend);
  const sizes = new BigUint64Array(1);
  ggml.ggml_gallocr_reserve_n_size(allocator, graph.seal(), null, null, sizes);
  ggml.ggml_gallocr_free(allocator);
  return Number(sizes[0]);
}

function newAllocator(backend: CpuBackend): bigint {
  const { ggml } = backend.engine;
  const allocator = ggml.ggml_gallocr_new(ggml.ggml_backend_get_default_buffer_type(backend.pointer));
  if (allocator === null) throw new EngineError("Cannot make a graph allocator");
  return allocator;
}
