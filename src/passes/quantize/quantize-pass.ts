// Quantization as a pass: its name, options and paper. The work is in quantize-model.ts.
import type { Pass } from "../pass.js";
import { planQuantization } from "./plan.js";
import { quantizeModel } from "./quantize-model.js";
import { type QuantizeOptions, quantizeOptionsSchema } from "./quantize-options.js";

/** Rounds weights to llama.cpp's block types, weighted by importance where it is given. */
export const quantizePass: Pass<QuantizeOptions> = {
  name: "quantize",
  summary: "Rounds weights to llama.cpp's block types, by its presets or tensor by tensor",
  paper: "https://github.com/ggml-org/llama.cpp/pull/1684", // k-quants; i-quants follow in #4773, importance in #4861
  options: quantizeOptionsSchema,
  async apply(model, options, context) {
    return quantizeModel(model, planQuantization(model, options, context.importance), context);
  },
};
