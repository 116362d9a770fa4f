// What a tensor is for, read from its GGUF name, as coarse as llama.cpp's mixtures need it; and which tensors stay as
// they are. Follows llama-quant.cpp of llama.cpp.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";

/** A tensor as far as choosing its type goes. */
export interface TensorDescription {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: GgmlType;
}

export type TensorRole =
  | "output"
  | "tokenEmbedding"
  | "value"
  | "key"
  | "query"
  | "attentionOutput"
  | "ffnUp"
  | "ffnGate"
  | "ffnDown"
  | "other";

// The first part that the name contains decides. Fused and compressed values count as values: all are sensitive.
const ROLE_BY_PART: readonly (readonly [part: string, role: TensorRole])[] = [
  ["attn_qkv.weight", "value"],
  ["attn_kv_b.weight", "value"],
  ["attn_v.weight", "value"],
  ["attn_k.weight", "key"],
  ["attn_q.weight", "query"],
  ["attn_output.weight", "attentionOutput"],
  ["ffn_up", "ffnUp"],
  ["ffn_gate", "ffnGate"],
  ["ffn_down", "ffnDown"],
];

/** The role that a tensor's name gives it. */
export function roleOf(name: string): TensorRole {
  if (name === "output.weight") return "output";
  if (name === "token_embd.weight" || name === "per_layer_token_embd.weight") return "tokenEmbedding";
  return ROLE_BY_PART.find(([part]) => name.includes(part))?.[1] ?? "other";
}

// Small or sensitive matrices that no mixture touches.
const KEPT_NAMES: ReadonlySet<string> = new Set(["position_embd.weight", "token_types.weight"]);
const KEPT_PARTS: readonly string[] = [
  "_norm.weight",
  "ffn_gate_inp.weight", // the router: its small errors choose other experts
  "ffn_gate_tid2eid.weight", // a table of expert numbers, not weights
  "altup", // Gemma 3n's mixing of a few streams
  "laurel", // Gemma 3n's low-rank residuals
  "per_layer_model_proj",
  "ssm_conv1d", // short convolutions of state-space models
  "shortconv.conv.weight",
  "indexer.k_proj.weight", // sparse attention's small selectors
  "indexer.q_proj.weight",
  "time_mix_first.weight", // RWKV's small two-dimensional weights
  "time_mix_w0.weight",
  "time_mix_w1.weight",
  "time_mix_w2.weight",
  "time_mix_v0.weight",
  "time_mix_v1.weight",
  "time_mix_v2.weight",
  "time_mix_a0.weight",
  "time_mix_a1.weight",
  "time_mix_a2.weight",
  "time_mix_g1.weight",
  "time_mix_g2.weight",
  "time_mix_decay_w1.weight",
  "time_mix_decay_w2.weight",
  "time_mix_lerp_fused.weight",
  "attn_rel_b.weight", // T5's relative positions
  ".position_embd", // images and sound: positions, patches, codebooks
  "sam.pos_embd",
  "sam.neck.",
  "sam.net_",
  ".rel_pos",
  ".patch_embd",
  ".patch_merger",
  "a.rvq.codebook",
  "mm.a.code_embd",
];

/** True for the tensors that a mixture may give another type: weight matrices, apart from small and sensitive ones. */
export function isQuantizable({ name, shape }: TensorDescription): boolean {
  const isMatrix = shape.some((length, dimension) => dimension > 0 && length > 1);
  return (
    isMatrix && name.endsWith("weight") && !KEPT_NAMES.has(name) && !KEPT_PARTS.some((part) => name.includes(part))
  );
}

/** llama.cpp's order of tensors: those outside the layers, then layer by layer; within each by name, bytewise. */
export function compareTensorNames(a: string, b: string): number {
  const byLayer = layerOf(a) - layerOf(b);
  return byLayer !== 0 ? byLayer : Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** The layer in `blk.7.…`, −1 for a tensor outside the layers. */
export function layerOf(name: string): number {
  const match = /^blk\.(\d+)/.exec(name);
  return match ? Number(match[1]) : -1;
}
