// One training step as four graphs over one store: loss and gradients of a micro-batch, loss alone, norms of the gradients,
// and the optimizer's update. All are built once and share one workspace.
import { PareError } from "../errors.js";
import { backpropagate } from "../graph/backpropagate.js";
import { crossEntropy } from "../graph/cross-entropy.js";
import { findFault } from "../graph/find-fault.js";
import { Graph, type ProductType } from "../graph/graph.js";
import { type LlamaOutputs, type LlamaShape, llamaOutputs, llamaTensors } from "../graph/llama.js";
import { Operations } from "../graph/operations.js";
import { type ParameterPlan, declareParameters } from "../graph/parameters.js";
import { TensorStore } from "../graph/store.js";
import type { Tensor } from "../graph/tensor.js";
import { type BatchInputs, type Sequence, declareBatch, fillBatch } from "../graph/token-batch.js";
import { Workspace, workspaceBytes } from "../graph/workspace.js";
import { elementCount } from "../model/model.js";
import type { CpuBackend } from "../native/matmul.js";
import { type Objective, type ObjectiveFactory, labelObjective } from "./objective.js";
import { type Optimizer, type OptimizerName, type OptimizerSettings, makeOptimizer } from "./optimizer.js";

export interface StepSettings {
  /** Sequences computed at once. */
  microBatch: number;
  /** Tokens of a sequence. */
  contextLength: number;
  /** Keep only each layer's input and compute the rest again: a third more time for a fraction of the memory. */
  checkpoint: boolean;
  products: ProductType;
  optimizer: OptimizerName;
  optimizerSettings: OptimizerSettings;
  /** The largest norm of all gradients together; larger ones are scaled down to it. */
  clipNorm: number;
  /** Targets that count in a micro-batch at most: where they are few, as with labels, logits are computed for them alone. */
  targetsMax?: number | undefined;
  /** The graph's parameters, and which of them learn; by default all that the shape has, all trained. */
  parameters?: ParameterPlan | undefined;
}

/** How a step went. */
export interface StepOutcome {
  /** The objective in nats per target, before the update: mean cross-entropy unless another was given. */
  loss: number;
  /** Norm of all gradients together, before clipping. */
  gradientNorm: number;
  /** Targets that counted. */
  targets: number;
}

/** Raised when loss or gradients are no longer finite; the weights are those of the step before. */
export class DivergedError extends PareError {
  override readonly name = "DivergedError";
  readonly step: number;
  /** The first tensor that holds NaN or infinity. */
  readonly tensor: string;

  constructor(step: number, tensor: string) {
    super(`Training went wrong at step ${step}: "${tensor}" holds NaN or infinity`, {
      hint: "Lower --rate, lengthen --warmup, or use --products f32",
    });
    this.step = step;
    this.tensor = tensor;
  }
}

/** How good the weights are on some sequences. */
export interface Evaluation {
  /** Mean cross-entropy in nats per target. */
  loss: number;
  /** What the objective compares, in nats per target; undefined where it compares nothing. */
  divergence: number | undefined;
}

type Kind = "train" | "evaluate" | "norms" | "update";

export class TrainingStep implements Disposable {
  readonly settings: StepSettings;
  readonly store: TensorStore;
  readonly parameters: Map<string, Tensor>;
  readonly optimizer: Optimizer;
  readonly #trained: Tensor[];
  readonly #inputs: BatchInputs;
  readonly #graphs: Record<Kind, Graph>;
  readonly #losses: { train: Tensor; evaluate: Tensor; compare: Tensor | undefined };
  readonly #objective: Objective;
  readonly #squares: Tensor[];
  #workspace: Workspace | undefined;

  /** Builds the graphs; no memory is taken for them before `allocate()`. */
  constructor(
    backend: CpuBackend,
    shape: LlamaShape,
    settings: StepSettings,
    objectiveOf: ObjectiveFactory = labelObjective,
  ) {
    const { microBatch, contextLength, products, checkpoint, targetsMax } = settings;
    this.settings = settings;
    this.store = TensorStore.create(backend);
    this.parameters = declareParameters(
      this.store,
      settings.parameters?.tensors ?? llamaTensors(shape),
      settings.parameters,
    );
    this.#trained = [...this.parameters.values()].filter(({ gradient }) => gradient);
    this.#inputs = declareBatch(this.store, { sequences: microBatch, length: contextLength, ...shape, targetsMax });
    this.#objective = objectiveOf(this.store, this.#inputs);
    this.optimizer = makeOptimizer(settings.optimizer, this.store, this.parameters, settings.optimizerSettings);
    const graph = (): Graph => Graph.create(backend, { products });
    this.#graphs = { train: graph(), evaluate: graph(), norms: graph(), update: graph() };
    const outputs = (f: Operations, options: { checkpoint: boolean }): LlamaOutputs =>
      llamaOutputs(f, shape, this.parameters, this.#inputs, options);
    const train = new Operations(this.#graphs.train);
    const evaluate = new Operations(this.#graphs.evaluate);
    const evaluated = outputs(evaluate, { checkpoint: false });
    const compare = this.#objective.compare?.(evaluate, evaluated);
    this.#losses = {
      train: train.graph.keep(this.#objective.loss(train, outputs(train, { checkpoint }))),
      evaluate: evaluate.graph.keep(crossEntropy(evaluate, evaluated.logits, this.#inputs.targets)),
      compare: compare && evaluate.graph.keep(compare),
    };
    backpropagate(train, this.#losses.train, this.#inputs.seed);
    this.#squares = this.#recordNorms(new Operations(this.#graphs.norms));
    this.optimizer.record(new Operations(this.#graphs.update));
  }

  #recordNorms(f: Operations): Tensor[] {
    return this.#trained.map(({ gradient }) => {
      const flat = f.reshape(gradient!, elementCount(gradient!.shape));
      return f.graph.keep(f.product(flat, flat)); // [1]
    });
  }

  /** Weights of the model, trained or not. */
  get parameterCount(): number {
    return [...this.parameters.values()].reduce((sum, tensor) => sum + elementCount(tensor.shape), 0);
  }

  /** Bytes of weights, gradients, states and intermediate results. */
  get memoryBytes(): number {
    this.store.reserve(); // the allocator leaves out what has an address
    const working = Object.values(this.#graphs).map(workspaceBytes);
    return this.store.sizeBytes + Math.max(...working);
  }

  /** The same once it is taken: what `allocate()` took. */
  get memoryBytesTaken(): number {
    return this.store.sizeBytes + (this.#workspace?.sizeBytes ?? 0);
  }

  allocate(): this {
    this.store.allocate();
    this.#workspace = Workspace.place(this.store.backend, Object.values(this.#graphs));
    return this;
  }

  /**
   * Takes one step.
   *
   * @param step its number, from 1 on
   * @param batch sequences, a multiple of the micro-batch
   * @throws {DivergedError} when loss or gradients are not finite; nothing is updated then
   */
  run(step: number, rate: number, batch: readonly Sequence[]): StepOutcome {
    const targets = countTargets(batch);
    const parts = this.#microBatches(batch);
    for (const { gradient } of this.#trained) this.store.zero(gradient!);
    let loss = 0;
    for (const part of parts) {
      const partLoss = this.#compute("train", part, targets, this.#losses.train);
      if (!Number.isFinite(partLoss)) throw this.#diverged(step, part, targets);
      loss += partLoss;
    }
    const gradientNorm = this.#gradientNorm();
    if (!Number.isFinite(gradientNorm)) throw this.#diverged(step, parts.at(-1)!, targets);
    this.optimizer.prepare({ step, rate, gradientScale: Math.min(1, this.settings.clipNorm / (gradientNorm + 1e-6)) });
    this.#graphs.update.compute();
    return { loss, gradientNorm, targets };
  }

  /** Measures sequences; nothing changes. */
  evaluate(sequences: readonly Sequence[]): Evaluation {
    const targets = countTargets(sequences);
    const { evaluate, compare } = this.#losses;
    const sum: Evaluation = { loss: 0, divergence: compare && 0 };
    for (const part of this.#microBatches(sequences)) {
      sum.loss += this.#compute("evaluate", part, targets, evaluate);
      if (compare) sum.divergence! += this.#graphs.evaluate.read(compare)[0]!;
    }
    return sum;
  }

  #compute(kind: "train" | "evaluate", part: readonly Sequence[], targets: number, loss: Tensor): number {
    this.#fill(part, targets);
    this.#graphs[kind].compute();
    return this.#graphs[kind].read(loss)[0]!;
  }

  #fill(part: readonly Sequence[], targets: number): void {
    fillBatch(this.store, this.#inputs, part, targets);
    this.#objective.feed(part, targets);
  }

  #gradientNorm(): number {
    this.#graphs.norms.compute();
    return Math.sqrt(this.#squares.reduce((sum, square) => sum + this.#graphs.norms.read(square)[0]!, 0));
  }

  #diverged(step: number, part: readonly Sequence[], targets: number): DivergedError {
    for (const { gradient } of this.#trained) this.store.zero(gradient!);
    this.#fill(part, targets);
    const fault = findFault(this.#graphs.train, this.#trained) ?? findFault(this.#graphs.norms, []);
    return new DivergedError(step, fault?.name ?? "the sum of the losses");
  }

  /** Parts of one size; the last is filled up with sequences that don't count. */
  #microBatches(sequences: readonly Sequence[]): Sequence[][] {
    const { microBatch } = this.settings;
    const parts: Sequence[][] = [];
    for (let i = 0; i < sequences.length; i += microBatch) {
      const part = sequences.slice(i, i + microBatch);
      while (part.length < microBatch) part.push({ ...part[0]!, weights: new Float32Array(part[0]!.weights.length) });
      parts.push(part);
    }
    return parts;
  }

  [Symbol.dispose](): void {
    this.#workspace?.[Symbol.dispose]();
    for (const graph of Object.values(this.#graphs)) graph[Symbol.dispose]();
    this.store[Symbol.dispose]();
  }
}

/** The sum of the targets' weights. */
export function countTargets(sequences: readonly Sequence[]): number {
  return sequences.reduce((sum, { weights }) => sum + weights.reduce((a, b) => a + b, 0), 0);
}
