// Mistral 7B and Nemo: Llama's blocks. The window of the first versions (`sliding_window`) is not in llama.cpp's graph.
// A. Q. Jiang et al., *Mistral 7B*, arXiv:2310.06825.
import type { Family } from "../family.js";
import { llama } from "./llama.js";

/** A GGUF file does not tell it from Llama, so that is what goes out; the computation is the same. */
export const mistral: Family = {
  ...llama,
  name: "Mistral",
  modelType: "mistral",
  classes: ["MistralForCausalLM"],
  defaults: { ...llama.defaults, num_key_value_heads: 8, max_position_embeddings: 131_072 },
};
