// Models of a chosen shape with hardly any weights and no words: enough for everything that looks at names, shapes and
// counts alone, such as the choice of types.
import { Metadata } from "../src/formats/gguf/metadata.js";
import { MetadataArray } from "../src/formats/gguf/metadata-array.js";
import { type GgmlType, rowSizeBytes } from "../src/formats/gguf/ggml-types.js";
import { writeGguf } from "../src/formats/gguf/write.js";

export interface BareShape {
  architecture?: string;
  layers: number;
  heads?: number;
  kvHeads?: number;
  /** 0 for a dense model. */
  experts?: number;
  tied?: boolean;
  /** Width of the residual stream; 256 by default. */
  embeddingLength?: number;
  feedForwardLength?: number;
  type?: GgmlType;
  /** Further matrices: name and row length. */
  extra?: readonly (readonly [name: string, columns: number])[];
}

const ROWS = 2;

/** The tensors of such a model. */
export function bareTensors(shape: BareShape): { name: string; shape: number[]; type: GgmlType }[] {
  const {
    layers,
    experts = 0,
    tied = false,
    embeddingLength: width = 256,
    feedForwardLength: inner = 512,
    type = "f16",
  } = shape;
  const matrix = (name: string, columns: number, ...higher: number[]) => ({
    name,
    shape: [columns, ROWS, ...higher],
    type,
  });
  const norm = (name: string) => ({ name, shape: [width], type: "f32" as const });
  const tensors = [matrix("token_embd.weight", width), norm("output_norm.weight")];
  if (!tied) tensors.push(matrix("output.weight", width));
  for (const [name, columns] of shape.extra ?? []) tensors.push(matrix(name, columns));
  for (let layer = 0; layer < layers; layer++) {
    const at = `blk.${layer}`;
    tensors.push(norm(`${at}.attn_norm.weight`), norm(`${at}.ffn_norm.weight`));
    for (const part of ["attn_q", "attn_k", "attn_v", "attn_output"])
      tensors.push(matrix(`${at}.${part}.weight`, width));
    const stack = experts > 0 ? [experts] : [];
    const suffix = experts > 0 ? "_exps" : "";
    tensors.push(matrix(`${at}.ffn_gate${suffix}.weight`, width, ...stack));
    tensors.push(matrix(`${at}.ffn_up${suffix}.weight`, width, ...stack));
    tensors.push(matrix(`${at}.ffn_down${suffix}.weight`, inner, ...stack));
    if (experts > 0) tensors.push(matrix(`${at}.ffn_gate_inp.weight`, width));
  }
  return tensors;
}

/** Writes such a model, all zeros. */
export async function writeBareModel(path: string, shape: BareShape): Promise<string> {
  const { architecture = "llama", layers, heads = 8, kvHeads = heads, experts = 0, embeddingLength = 256 } = shape;
  const metadata = new Metadata().set("general.architecture", "string", architecture);
  const counts: Record<string, number> = {
    block_count: layers,
    context_length: 128,
    embedding_length: embeddingLength,
    feed_forward_length: shape.feedForwardLength ?? 512,
    "attention.head_count": heads,
    "attention.head_count_kv": kvHeads,
    vocab_size: ROWS,
  };
  if (experts > 0) Object.assign(counts, { expert_count: experts, expert_used_count: 2 });
  for (const [key, value] of Object.entries(counts)) metadata.set(`${architecture}.${key}`, "uint32", value);
  metadata.set(`${architecture}.attention.layer_norm_rms_epsilon`, "float32", 1e-5);
  metadata.set(`${architecture}.attention.layer_norm_epsilon`, "float32", 1e-5);
  metadata.set("tokenizer.ggml.tokens", "array", MetadataArray.of("string", ["a", "b"]));
  const tensors = bareTensors(shape).map((tensor) => ({
    ...tensor,
    chunks: () => [
      new Uint8Array(
        tensor.shape.slice(1).reduce((n, length) => n * length, rowSizeBytes(tensor.type, tensor.shape[0]!)),
      ),
    ],
  }));
  await writeGguf(path, { metadata, tensors });
  return path;
}
