// AdamW (Loshchilov and Hutter, 2017, arXiv:1711.05101) through ggml's own step.
import type { TensorStore } from "../graph/store.js";
import type { Tensor } from "../graph/tensor.js";
import { type GradientScale, type Optimizer, type OptimizerSettings, isMatrix } from "./optimizer.js";

export function adamW(
  store: TensorStore,
  trained: readonly Tensor[],
  scale: GradientScale,
  { beta1, beta2, epsilon, weightDecay }: OptimizerSettings,
): Optimizer {
  const states = new Map<string, Tensor>();
  const declare = (name: string, { shape }: Tensor): Tensor => {
    const state = store.declare(name, "f32", shape);
    states.set(name, state);
    return state;
  };
  const moments = new Map(trained.map((w) => [w, { m: declare(`${w.name}.m`, w), v: declare(`${w.name}.v`, w) }]));
  const scalars = {
    decayed: store.declare("adamw of matrices", "f32", [7]),
    plain: store.declare("adamw", "f32", [7]),
  };
  return {
    states,
    record(f) {
      for (const [weight, { m, v }] of moments) {
        const gradient = scale.of(f, weight);
        const leaf = isMatrix(weight) ? scalars.decayed : scalars.plain;
        f.ggml.ggml_set_param(weight.pointer);
        f.raw("adamw", [weight, gradient, m, v, leaf], (ggml, c) =>
          ggml.ggml_opt_step_adamw(c, weight.pointer, gradient.pointer, m.pointer, v.pointer, leaf.pointer),
        );
      }
    },
    prepare({ step, rate, gradientScale }) {
      scale.set(gradientScale);
      const unbias = [1 / (1 - beta1 ** step), 1 / (1 - beta2 ** step)];
      store.write(scalars.decayed, Float32Array.of(rate, beta1, beta2, epsilon, weightDecay, ...unbias));
      store.write(scalars.plain, Float32Array.of(rate, beta1, beta2, epsilon, 0, ...unbias));
    },
  };
}
