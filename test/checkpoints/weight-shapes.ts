// The tensors that transformers gives a model of a configuration, by name, with their shapes in PyTorch's order.
import type { Config } from "./cases.js";

type Shapes = Record<string, number[]>;

export function weightShapes(config: Config): Shapes {
  const width = number(config, "hidden_size");
  const shapes: Shapes = { "model.embed_tokens.weight": [number(config, "vocab_size"), width] };
  for (let layer = 0; layer < number(config, "num_hidden_layers"); layer++) {
    const parts = { ...attention(config), ...feedForward(config) };
    for (const [name, shape] of Object.entries(parts)) shapes[`model.layers.${layer}.${name}`] = shape;
  }
  shapes["model.norm.weight"] = [width];
  if (!config["tie_word_embeddings"]) shapes["lm_head.weight"] = [number(config, "vocab_size"), width];
  return shapes;
}

function attention(config: Config): Shapes {
  const width = number(config, "hidden_size");
  const [heads, kvHeads] = [number(config, "num_attention_heads"), number(config, "num_key_value_heads")];
  const head = (config["head_dim"] as number | undefined) ?? width / heads;
  const [queries, keys] = [heads * head, kvHeads * head];
  const family = String(config["model_type"]);
  const shapes: Shapes = {
    "input_layernorm.weight": [width],
    "post_attention_layernorm.weight": [width],
    "self_attn.o_proj.weight": [width, queries],
  };
  if (family === "phi3") return { ...shapes, "self_attn.qkv_proj.weight": [queries + 2 * keys, width] };
  for (const [name, rows] of Object.entries({ q: queries, k: keys, v: keys })) {
    shapes[`self_attn.${name}_proj.weight`] = [rows, width];
    if (family.startsWith("qwen2")) shapes[`self_attn.${name}_proj.bias`] = [rows];
  }
  const isNormedByHead = family.startsWith("qwen3") || family.startsWith("gemma3");
  if (isNormedByHead || family === "olmoe") {
    shapes["self_attn.q_norm.weight"] = [isNormedByHead ? head : queries];
    shapes["self_attn.k_norm.weight"] = [isNormedByHead ? head : keys];
  }
  if (family.startsWith("gemma")) {
    shapes["pre_feedforward_layernorm.weight"] = [width];
    shapes["post_feedforward_layernorm.weight"] = [width];
  }
  return shapes;
}

function feedForward(config: Config): Shapes {
  const [width, inner] = [number(config, "hidden_size"), number(config, "intermediate_size")];
  const family = String(config["model_type"]);
  if (family === "phi3")
    return { "mlp.gate_up_proj.weight": [2 * inner, width], "mlp.down_proj.weight": [width, inner] };
  if (family === "mixtral")
    return experts("block_sparse_moe", ["w1", "w3", "w2"], number(config, "num_local_experts"), inner, width);
  const names = ["gate_proj", "up_proj", "down_proj"] as const;
  if (config["num_experts"] === undefined) return gated("mlp", names, inner, width);
  const ownInner = family === "olmoe" ? inner : number(config, "moe_intermediate_size");
  const shapes = experts("mlp", names, number(config, "num_experts"), ownInner, width);
  if (family !== "qwen2_moe") return shapes;
  const shared = number(config, "shared_expert_intermediate_size");
  return {
    ...shapes,
    ...gated("mlp.shared_expert", names, shared, width),
    "mlp.shared_expert_gate.weight": [1, width],
  };
}

function experts(prefix: string, names: readonly string[], count: number, inner: number, width: number): Shapes {
  const shapes: Shapes = { [`${prefix}.gate.weight`]: [count, width] };
  for (let expert = 0; expert < count; expert++) {
    Object.assign(shapes, gated(`${prefix}.experts.${expert}`, names, inner, width));
  }
  return shapes;
}

function gated(prefix: string, [gate, up, down]: readonly string[], inner: number, width: number): Shapes {
  return {
    [`${prefix}.${gate}.weight`]: [inner, width],
    [`${prefix}.${up}.weight`]: [inner, width],
    [`${prefix}.${down}.weight`]: [width, inner],
  };
}

function number(config: Config, key: string): number {
  return config[key] as number;
}
