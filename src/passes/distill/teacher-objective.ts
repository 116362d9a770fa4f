// How far a student is from its teacher, as a graph over the student's logits. Compared are the tokens of the teacher's list
// and, as one more, all others together: a coarser look at both distributions, so never more than their divergence, and 0
// only where the student agrees on the list and on the rest. Temperature after Hinton et al., 2015, arXiv:1503.02531, with
// their factor of its square, so that gradients keep their size; reverse KL and Jensen-Shannon as in Agarwal et al., 2023,
// arXiv:2306.13649.
import { chosenProbabilities } from "../../graph/chosen-probabilities.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { type SparseTargets, crossEntropy } from "../../graph/cross-entropy.js";
import type { LlamaOutputs } from "../../graph/llama.js";
import type { Operations } from "../../graph/operations.js";
import type { TensorStore } from "../../graph/store.js";
import type { Tensor } from "../../graph/tensor.js";
import type { BatchInputs, Sequence } from "../../graph/token-batch.js";
import type { Objective, ObjectiveFactory } from "../../train/objective.js";
import { fromFloat16 } from "../../support/float16.js";
import type { ListedHead } from "./listed-head.js";
import type { TaughtSequence } from "./taught-text.js";

export const DIVERGENCES = ["forward-kl", "reverse-kl", "jensen-shannon"] as const;
export type Divergence = (typeof DIVERGENCES)[number];

export interface TeacherObjectiveSettings {
  divergence: Divergence;
  /** What logits of both are divided by; the teacher's were when its text was made. */
  temperature: number;
  /** Share of cross-entropy on the labels in the loss, 0 to 1. */
  labels: number;
  /** Tokens of each list. */
  top: number;
  /** Weight of the distance between last hidden states, and their width. */
  hidden?: { weight: number; width: number } | undefined;
  /** The tokens in use, where the output matrix is not trained. */
  head?: { listed: ListedHead; width: number; type: GgmlType } | undefined;
}

/** A distribution over the list [top, rows] and over all else [1, rows]. */
interface Coarse {
  list: Tensor;
  rest: Tensor;
}

/** Added before a logarithm: it bounds what one token can cost. */
const LISTED_MIN = 1e-12;
/** The rest is 1 − Σ in single precision: what lies below this is rounding. */
const REST_MIN = 1e-6;

/** (1 − labels) · divergence from the teacher + labels · cross-entropy. */
export function teacherObjective(settings: TeacherObjectiveSettings): ObjectiveFactory {
  return (store, inputs) => new TeacherObjective(store, inputs, settings);
}

class TeacherObjective implements Objective {
  readonly #store: TensorStore;
  readonly #inputs: BatchInputs;
  readonly #settings: TeacherObjectiveSettings;
  /** i32 [top · rows]: row · vocabulary + token. */
  readonly #indices: Tensor;
  readonly #teacher: Coarse;
  /** The teacher's hidden states [width, rows], and the inverse of their squares [1, rows]. */
  readonly #states: { values: Tensor; scales: Tensor } | undefined;
  /** Of the tokens in use. */
  readonly #listed: { indices: Tensor; targets: SparseTargets } | undefined;
  readonly compare: Objective["compare"];

  constructor(store: TensorStore, inputs: BatchInputs, settings: TeacherObjectiveSettings) {
    const rows = inputs.sequences * inputs.length;
    this.#store = store;
    this.#inputs = inputs;
    this.#settings = settings;
    this.#indices = store.declare("listed tokens", "i32", [settings.top * rows]);
    this.#teacher = {
      list: store.declare("teacher's list", "f32", [settings.top, rows]),
      rest: store.declare("teacher's rest", "f32", [1, rows]),
    };
    const { head, hidden } = settings;
    this.#states = hidden && {
      values: store.declare("teacher's states", "f32", [hidden.width, rows]),
      scales: store.declare("scales of states", "f32", [1, rows]),
    };
    head?.listed.declare(store, head.width, head.type);
    this.#listed = head && {
      indices: store.declare("listed tokens in use", "i32", [settings.top * rows]),
      targets: { ...inputs.targets, indices: store.declare("targets in use", "i32", [rows]) },
    };
    this.compare = (f, { logits }) => this.#divergence(f, logits, this.#indices, "forward-kl");
  }

  loss(f: Operations, outputs: LlamaOutputs): Tensor {
    const { hidden } = this.#settings;
    const loss = this.#logitLoss(f, outputs);
    return hidden ? f.add(loss, f.scale(this.#stateDistance(f, outputs.states), hidden.weight)) : loss;
  }

  /** Mean of ‖student − teacher‖² / ‖teacher‖² (Sanh et al., 2019, arXiv:1910.01108, match directions). */
  #stateDistance(f: Operations, states: Tensor): Tensor {
    const { values, scales } = this.#states!;
    const missed = f.sub(states, values); // [width, rows]
    const byRow = f.mul(f.sumRows(f.mul(missed, missed)), scales); // [1, rows]
    return f.sum(f.mul(byRow, this.#inputs.targets.weights));
  }

  #logitLoss(f: Operations, outputs: LlamaOutputs): Tensor {
    const { labels, divergence, temperature, head } = this.#settings;
    const logits = head ? head.listed.logits(f, outputs.states) : outputs.logits;
    const { indices, targets } = this.#listed ?? { indices: this.#indices, targets: this.#inputs.targets };
    const onLabels = (): Tensor => crossEntropy(f, logits, targets);
    if (labels === 1) return onLabels();
    const distance = f.scale(this.#divergence(f, logits, indices, divergence), temperature ** 2);
    return labels === 0 ? distance : f.add(f.scale(distance, 1 - labels), f.scale(onLabels(), labels));
  }

  #divergence(f: Operations, logits: Tensor, indices: Tensor, divergence: Divergence): Tensor {
    const list = chosenProbabilities(f, logits, indices, 1 / this.#settings.temperature); // [top, rows]
    const student = { list, rest: f.scale(f.sumRows(list), -1, 1) };
    const byRow = DISTANCES[divergence](f, this.#teacher, student); // [1, rows]
    return f.sum(f.mul(byRow, this.#inputs.targets.weights));
  }

  feed(batch: readonly Sequence[]): void {
    const { top } = this.#settings;
    const rows = batch.length * this.#inputs.length;
    const ids = new Uint32Array(rows * top);
    const list = new Float32Array(rows * top);
    const rest = new Float32Array(rows);
    (batch as readonly TaughtSequence[]).forEach(({ source, index }, i) => {
      const opinions = source.opinions(index);
      const first = i * this.#inputs.length;
      ids.set(opinions.ids, first * top);
      list.set(opinions.probabilities, first * top);
      rest.set(opinions.rests, first);
    });
    const { vocabulary } = this.#inputs;
    this.#store.write(this.#indices, cellsOf(ids, top, vocabulary));
    this.#store.write(this.#teacher.list, list);
    this.#store.write(this.#teacher.rest, rest);
    if (this.#listed) this.#fillListed(batch, ids);
    if (this.#states) this.#fillStates(batch);
  }

  #fillStates(batch: readonly Sequence[]): void {
    const { width } = this.#settings.hidden!;
    const bits = (batch as readonly TaughtSequence[]).map(({ source, index }) => source.opinions(index).states!);
    const values = Float32Array.from(
      bits.flatMap((part) => [...part]),
      fromFloat16,
    );
    const scales = Float32Array.from({ length: values.length / width }, (_, row) => {
      const square = values.subarray(row * width, (row + 1) * width).reduce((sum, x) => sum + x * x, 0);
      return square > 0 ? 1 / square : 0; // nothing is known of a place that nobody asked about
    });
    this.#store.write(this.#states!.values, values);
    this.#store.write(this.#states!.scales, scales);
  }

  /** What is validated only may name tokens that are not in use: it is not what these leaves are for. */
  #fillListed(batch: readonly Sequence[], ids: Uint32Array): void {
    const { places, tokens } = this.#settings.head!.listed;
    const { top } = this.#settings;
    const placed = (token: number): number => Math.max(0, places[token]!);
    const targets = Uint32Array.from(batch.flatMap((sequence) => [...sequence.targets]));
    this.#store.write(this.#listed!.indices, cellsOf(ids.map(placed), top, tokens.length));
    this.#store.write(this.#listed!.targets.indices, cellsOf(targets.map(placed), 1, tokens.length));
  }
}

/** row · columns + token, `perRow` tokens a row. */
function cellsOf(tokens: Uint32Array, perRow: number, columns: number): Int32Array {
  return Int32Array.from(tokens, (token, i) => Math.floor(i / perRow) * columns + token);
}

type Distance = (f: Operations, teacher: Coarse, student: Coarse) => Tensor;

/** For each row, in nats. */
const DISTANCES: Readonly<Record<Divergence, Distance>> = {
  "forward-kl": kullbackLeibler,
  "reverse-kl": (f, teacher, student) => kullbackLeibler(f, student, teacher),
  "jensen-shannon": (f, teacher, student) => {
    const half = (a: Tensor, b: Tensor): Tensor => f.scale(f.add(a, b), 0.5);
    const middle = { list: half(teacher.list, student.list), rest: half(teacher.rest, student.rest) };
    return half(kullbackLeibler(f, teacher, middle), kullbackLeibler(f, student, middle));
  },
};

/** Σ a (ln a − ln b). */
function kullbackLeibler(f: Operations, a: Coarse, b: Coarse): Tensor {
  const part = (x: Tensor, y: Tensor, least: number): Tensor =>
    f.mul(x, f.sub(f.log(f.scale(x, 1, least)), f.log(f.scale(y, 1, least))));
  return f.add(f.sumRows(part(a.list, b.list, LISTED_MIN)), part(a.rest, b.rest, REST_MIN));
}
