// Adafactor (Shazeer and Stern, 2018, arXiv:1804.04235, algorithm 4): the squares of a matrix's gradient are kept as the
// means of its rows and columns, whose outer product stands for them; the update is clipped to a root mean square of 1 and
// scaled by the parameter's own. Constants as in PyTorch's `torch.optim.Adafactor`.
import type { Operations } from "../graph/operations.js";
import type { TensorStore } from "../graph/store.js";
import type { Tensor } from "../graph/tensor.js";
import { elementCount } from "../model/model.js";
import { type GradientScale, type Optimizer, type OptimizerSettings, isMatrix } from "./optimizer.js";

/** Below it a square counts as it: 2^-46, the square of f32's ε. */
const SQUARE_MIN = 2 ** -46;
const MEAN_MIN = 2 ** -23;
/** A parameter that is all but zero still moves. */
const PARAMETER_MIN = 1e-3;
/** The weight of a step's squares is step ^ −0.8. */
const DECAY_POWER = -0.8;

interface Leaves {
  /** 1 − the weight of this step's squares. */
  kept: Tensor;
  fresh: Tensor;
  /** Rate, at most 1 / √step. */
  rate: Tensor;
  /** 1 − rate · decay, as a row. */
  decay: Tensor;
}

export function adafactor(
  store: TensorStore,
  trained: readonly Tensor[],
  scale: GradientScale,
  { weightDecay }: OptimizerSettings,
): Optimizer {
  const states = new Map<string, Tensor>();
  const declare = (name: string, ...shape: number[]): Tensor => {
    const state = store.declare(name, "f32", shape);
    states.set(name, state);
    return state;
  };
  for (const weight of trained) {
    if (isMatrix(weight)) declare(`${weight.name}.rows`, 1, weight.shape[1]);
    declare(`${weight.name}.${isMatrix(weight) ? "columns" : "squares"}`, weight.shape[0]);
  }
  const leaf = (name: string): Tensor => store.declare(`adafactor ${name}`, "f32", [1]);
  const leaves: Leaves = { kept: leaf("kept"), fresh: leaf("fresh"), rate: leaf("rate"), decay: leaf("decay") };
  return {
    states,
    record(f) {
      for (const weight of trained) {
        const gradient = scale.of(f, weight);
        updateWeight(f, weight, divided(f, gradient, expectedSquares(f, weight, gradient, states, leaves)), leaves);
      }
    },
    prepare({ step, rate, gradientScale }) {
      scale.set(gradientScale);
      const fresh = step ** DECAY_POWER;
      store.write(leaves.fresh, Float32Array.of(fresh));
      store.write(leaves.kept, Float32Array.of(1 - fresh));
      store.write(leaves.rate, Float32Array.of(Math.min(rate, 1 / Math.sqrt(step))));
      store.write(leaves.decay, Float32Array.of(1 - rate * weightDecay));
    },
  };
}

/** What each squared gradient is expected to be; the state moves towards the step's own. */
function expectedSquares(
  f: Operations,
  weight: Tensor,
  gradient: Tensor,
  states: ReadonlyMap<string, Tensor>,
  leaves: Leaves,
): Tensor {
  const [k, m] = weight.shape;
  const squares = f.mul(gradient, gradient); // [k, m]
  if (!isMatrix(weight)) return moved(f, states.get(`${weight.name}.squares`)!, squares, leaves);
  const columns = states.get(`${weight.name}.columns`)!;
  const rowMeans = f.scale(
    f.raw("rowSums", [squares], (ggml, c) => ggml.ggml_sum_rows(c, squares.pointer)),
    1 / k,
  );
  const columnSums = f.raw("columnSums", [squares], (ggml, c) =>
    ggml.ggml_repeat_back(c, squares.pointer, columns.pointer),
  );
  const rows = moved(f, states.get(`${weight.name}.rows`)!, rowMeans, leaves); // [1, m]
  const byColumn = moved(f, columns, f.scale(columnSums, 1 / m), leaves); // [k]
  const mean = clamped(f, f.scale(f.sum(rows), 1 / m), MEAN_MIN);
  return f.product(f.reshape(byColumn, 1, k), divide(f, rows, mean)); // [k, m]
}

/** state ← kept · state + fresh · value, in place. */
function moved(f: Operations, state: Tensor, value: Tensor, { kept, fresh }: Leaves): Tensor {
  const next = f.add(f.mul(state, kept), f.mul(value, fresh));
  return f.raw("state", [next, state], (ggml, c) => ggml.ggml_cpy(c, next.pointer, state.pointer));
}

function divided(f: Operations, gradient: Tensor, squares: Tensor): Tensor {
  const bounded = clamped(f, squares, SQUARE_MIN);
  return divide(
    f,
    gradient,
    f.raw("root", [bounded], (ggml, c) => ggml.ggml_sqrt(c, bounded.pointer)),
  );
}

/** weight ← (1 − rate · decay) · weight − rate · max(RMS(weight), 1e-3) / max(RMS(update), 1) · update. */
function updateWeight(f: Operations, weight: Tensor, update: Tensor, { rate, decay }: Leaves): void {
  const size = f.mul(clamped(f, rootMeanSquare(f, weight), PARAMETER_MIN), rate);
  const step = f.mul(update, divide(f, size, clamped(f, rootMeanSquare(f, update), 1)));
  const next = f.sub(isMatrix(weight) ? f.mul(weight, decay) : weight, step);
  f.raw("adafactor", [next, weight], (ggml, c) => ggml.ggml_cpy(c, next.pointer, weight.pointer));
}

function rootMeanSquare(f: Operations, a: Tensor): Tensor {
  const flat = f.reshape(a, elementCount(a.shape));
  const mean = f.scale(f.product(flat, flat), 1 / elementCount(a.shape));
  return f.raw("root", [mean], (ggml, c) => ggml.ggml_sqrt(c, mean.pointer));
}

function divide(f: Operations, a: Tensor, b: Tensor): Tensor {
  return f.raw("div", [a, b], (ggml, c) => ggml.ggml_div(c, a.pointer, b.pointer));
}

function clamped(f: Operations, a: Tensor, low: number): Tensor {
  return f.raw("clamp", [a], (ggml, c) => ggml.ggml_clamp(c, a.pointer, low, 3e38));
}
