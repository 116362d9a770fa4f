// One step of learning from an original's predictions as two graphs: the original's probabilities of every token, and the
// gradient of KL(original ‖ rounded model) with respect to every weight that learns. The rounded model's matrices lie in
// the store as they will in the file, so that what is computed forward is what an engine computes of that file.
import { backpropagate } from "../../../graph/backpropagate.js";
import { Graph, type ProductType } from "../../../graph/graph.js";
import { type LlamaShape, llamaLogits, llamaTensors } from "../../../graph/llama.js";
import { Operations } from "../../../graph/operations.js";
import { declareParameters } from "../../../graph/parameters.js";
import { TensorStore } from "../../../graph/store.js";
import type { Tensor } from "../../../graph/tensor.js";
import { type BatchInputs, type Sequence, declareBatch, fillBatch } from "../../../graph/token-batch.js";
import { Workspace, workspaceBytes } from "../../../graph/workspace.js";
import type { GgmlType } from "../../../formats/gguf/ggml-types.js";
import type { CpuBackend } from "../../../native/matmul.js";

export interface DivergenceStepSettings {
  /** Sequences computed at once, tokens of each, and how many of these count. */
  sequences: number;
  length: number;
  targetsMax: number;
  products: ProductType;
  /** The original's types. */
  originalTypes: (name: string) => GgmlType;
  /** The rounded model's types. */
  types: (name: string) => GgmlType;
  isLearned: (name: string) => boolean;
}

export class DivergenceStep implements Disposable {
  readonly original: ReadonlyMap<string, Tensor>;
  readonly rounded: ReadonlyMap<string, Tensor>;
  readonly originalStore: TensorStore;
  readonly store: TensorStore;
  readonly #inputs: BatchInputs;
  readonly #teacher: Graph;
  readonly #student: Graph;
  readonly #entropy: Tensor;
  readonly #crossEntropy: Tensor;
  #workspace: Workspace | undefined;

  /** Builds the graphs; no memory is taken for them before `allocate()`. */
  constructor(backend: CpuBackend, shape: LlamaShape, settings: DivergenceStepSettings) {
    const { sequences, length, targetsMax, products } = settings;
    this.originalStore = TensorStore.create(backend);
    this.store = TensorStore.create(backend);
    this.original = declareParameters(
      this.originalStore,
      llamaTensors(shape).map((tensor) => ({ ...tensor, type: settings.originalTypes(tensor.name) })),
      { isTrained: () => false },
    );
    this.rounded = declareLearned(this.store, shape, settings);
    const rows = sequences * targetsMax;
    this.#inputs = declareBatch(this.store, { sequences, length, ...shape, targetsMax: rows });
    const probabilities = this.store.declare("original probabilities", "f32", [shape.vocabulary, rows]);
    this.#teacher = Graph.create(backend);
    this.#student = Graph.create(backend, { products });

    const f = new Operations(this.#teacher);
    const certain = llamaLogits(f, shape, this.original, this.#inputs);
    const softMax = f.softMax(certain);
    f.raw("keep", [softMax], (ggml, c) => ggml.ggml_cpy(c, softMax.pointer, probabilities.pointer));
    this.#entropy = crossEntropy(f, certain, probabilities);

    const s = new Operations(this.#student);
    const logits = llamaLogits(s, shape, this.rounded, this.#inputs);
    this.#crossEntropy = crossEntropy(s, logits, probabilities);
    // ∂KL / ∂logits = softmax(logits) − p, over the rows that are averaged
    backpropagate(s, logits, s.scale(s.sub(s.softMax(logits), probabilities), 1 / rows));
  }

  /** Bytes of both models, gradients and intermediate results. */
  get memoryBytes(): number {
    const stores = [this.originalStore, this.store].map((store) => store.reserve().sizeBytes);
    return stores[0]! + stores[1]! + Math.max(workspaceBytes(this.#teacher), workspaceBytes(this.#student));
  }

  allocate(): this {
    this.originalStore.allocate();
    this.store.allocate();
    this.#workspace = Workspace.place(this.store.backend, [this.#teacher, this.#student]);
    return this;
  }

  /**
   * Divergence of a batch; gradients are added to those that are there.
   *
   * @param batch as many sequences as the step was built for; in each as many targets count
   * @returns nats per target
   */
  run(batch: readonly Sequence[]): number {
    fillBatch(this.store, this.#inputs, batch, 1);
    this.#teacher.compute();
    const entropy = this.#teacher.read(this.#entropy)[0]!;
    this.#student.compute();
    return this.#student.read(this.#crossEntropy)[0]! - entropy;
  }

  [Symbol.dispose](): void {
    this.#workspace?.[Symbol.dispose]();
    for (const handle of [this.#teacher, this.#student, this.store, this.originalStore]) handle[Symbol.dispose]();
  }
}

/** Matrices in their file's type with a gradient in f32 beside them where they learn. */
function declareLearned(
  store: TensorStore,
  shape: LlamaShape,
  { types, isLearned }: DivergenceStepSettings,
): Map<string, Tensor> {
  return new Map(
    llamaTensors(shape).map(({ name, shape: lengths }) => {
      const gradient = isLearned(name) ? store.declare(`${name}.gradient`, "f32", lengths) : undefined;
      return [name, store.declare(name, types(name), lengths, gradient && { gradient })];
    }),
  );
}

/** −Σ p log softmax(logits), a mean over rows, [1]. */
function crossEntropy(f: Operations, logits: Tensor, probabilities: Tensor): Tensor {
  return f.graph.keep(
    f.raw("crossEntropy", [logits], (ggml, c) =>
      ggml.ggml_cross_entropy_loss(c, logits.pointer, probabilities.pointer),
    ),
  );
}
