// The matrices of a layer that an adapter can have, as GGUF spells them. Alone here, so that the command line and recipes know
// them without the engine.
export const ADAPTER_TARGETS = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"] as const;
export type AdapterTarget = (typeof ADAPTER_TARGETS)[number];
