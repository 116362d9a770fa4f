// Tiny checkpoints, one or more per family: what their config.json says, how they store weights, which tokenizer they have.
import { TOKENS, type TokenizerKind } from "./tokenizers.js";

/** A checkpoint to write. */
export interface CheckpointCase {
  name: string;
  config: Config;
  tokenizer: TokenizerKind;
  dtype?: "F32" | "F16" | "BF16";
  /** Files that the weights are split in. */
  shards?: number;
  generation?: Record<string, unknown>;
  card?: string;
  template?: string;
}

export type Config = Record<string, unknown>;

const LLAMA = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_act: "silu",
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 256,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  tie_word_embeddings: false,
  vocab_size: TOKENS,
  bos_token_id: 1,
  eos_token_id: 2,
};
const of = (architecture: string, modelType: string, more: Config): Config => ({
  ...LLAMA,
  architectures: [architecture],
  model_type: modelType,
  ...more,
});
const EXPERTS = { num_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: 32, decoder_sparse_step: 1 };
const GEMMA = {
  hidden_act: undefined,
  hidden_activation: "gelu_pytorch_tanh",
  head_dim: 32,
  query_pre_attn_scalar: 32,
  sliding_window: 8,
  tie_word_embeddings: true,
};
const GEMMA3 = {
  ...GEMMA,
  num_hidden_layers: 6,
  rope_theta: 1e6,
  rope_local_base_freq: 10_000,
  layer_types: Array.from({ length: 6 }, (_, layer) => (layer === 5 ? "full_attention" : "sliding_attention")),
};
const CARD = `---
license: apache-2.0
license_link: https://example.org/licence
language:
- en
- no
tags: [chat, tiny]
pipeline_tag: text-generation
base_model: example-org/Base-1.5-7B-Instruct
datasets:
- example/stories
---
# A card
`;
const TEMPLATE = "{% for message in messages %}<|im_start|>{{ message.content }}<|im_end|>{% endfor %}";

export const CASES: readonly CheckpointCase[] = [
  {
    name: "tiny-llama-150K-chat",
    config: LLAMA,
    tokenizer: "spm",
    generation: { temperature: 0.6, top_p: 0.9, top_k: 40 },
    card: CARD,
    template: TEMPLATE,
  },
  {
    name: "llama-3-tied",
    config: of("LlamaForCausalLM", "llama", {
      tie_word_embeddings: true,
      rope_theta: 500_000,
      rope_scaling: {
        rope_type: "llama3",
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 128,
      },
      bos_token_id: TOKENS - 2,
      eos_token_id: [TOKENS - 1, 5],
    }),
    tokenizer: "llama-bpe",
    dtype: "BF16",
  },
  { name: "smollm", config: of("LlamaForCausalLM", "llama", { tie_word_embeddings: true }), tokenizer: "smollm" },
  {
    name: "mistral",
    config: of("MistralForCausalLM", "mistral", { head_dim: 32, sliding_window: null }),
    tokenizer: "spm-json",
    dtype: "F16",
  },
  {
    name: "mixtral",
    config: of("MixtralForCausalLM", "mixtral", { num_local_experts: 4, num_experts_per_tok: 2 }),
    tokenizer: "spm",
    shards: 2,
  },
  {
    name: "qwen2",
    config: of("Qwen2ForCausalLM", "qwen2", { tie_word_embeddings: true }),
    tokenizer: "qwen2",
    shards: 3,
  },
  { name: "qwen3", config: of("Qwen3ForCausalLM", "qwen3", { head_dim: 32 }), tokenizer: "qwen2" },
  {
    name: "qwen2-moe",
    config: of("Qwen2MoeForCausalLM", "qwen2_moe", {
      ...EXPERTS,
      shared_expert_intermediate_size: 64,
      norm_topk_prob: false,
    }),
    tokenizer: "qwen2",
  },
  {
    name: "qwen3-moe",
    config: of("Qwen3MoeForCausalLM", "qwen3_moe", { ...EXPERTS, head_dim: 32, norm_topk_prob: true }),
    tokenizer: "qwen2",
  },
  {
    name: "gemma-2",
    config: of("Gemma2ForCausalLM", "gemma2", {
      ...GEMMA,
      attn_logit_softcapping: 48.5,
      final_logit_softcapping: 30.5,
    }),
    tokenizer: "spm",
  },
  { name: "gemma-3", config: of("Gemma3ForCausalLM", "gemma3_text", GEMMA3), tokenizer: "spm" },
  {
    name: "phi-3",
    config: of("Phi3ForCausalLM", "phi3", {
      sliding_window: 2047,
      original_max_position_embeddings: 256,
      pad_token_id: 2,
    }),
    tokenizer: "spm",
  },
  {
    name: "phi-3-long",
    config: of("Phi3ForCausalLM", "phi3", {
      sliding_window: null,
      pad_token_id: 2,
      max_position_embeddings: 1024,
      original_max_position_embeddings: 256,
      rope_scaling: {
        type: "longrope",
        long_factor: Array.from({ length: 8 }, (_, i) => 1.25 + i / 2),
        short_factor: Array.from({ length: 8 }, (_, i) => 1.0625 + i / 8),
      },
    }),
    tokenizer: "spm",
  },
  {
    name: "olmoe",
    config: of("OlmoeForCausalLM", "olmoe", {
      ...EXPERTS,
      num_key_value_heads: 4,
      intermediate_size: 32,
      norm_topk_prob: false,
      pad_token_id: 2,
    }),
    tokenizer: "olmo",
  },
];
