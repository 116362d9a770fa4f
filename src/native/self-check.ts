// Is the library the one that the ABI tables describe? A struct whose fields moved would not fail loudly: it would pass a
// thread count for a context length. So versions, sizes, offsets and every default are compared before anything runs.
import koffi from "koffi";

import { EngineError } from "../errors.js";
import { STRUCTS } from "./abi.gen.js";
import type { GgmlFunctions, LlamaFunctions } from "./bindings.js";

export const LLAMA_VERSION = "0.4.0-dev";
export const GGML_VERSION = "0.23.0";

/** Defaults of the library in use that tell its fields apart; pointers and zeros are left out. */
const DEFAULTS = {
  llama_model_default_params: {
    n_gpu_layers: -1,
    split_mode: 1,
    load_mode: -1,
    lazy_mode: 1,
    use_extra_bufts: true,
    vocab_only: false,
  },
  llama_context_default_params: {
    n_ctx: 512,
    n_batch: 2048,
    n_ubatch: 512,
    n_seq_max: 1,
    n_outputs_max_per_seq: 1,
    rope_scaling_type: -1,
    pooling_type: -1,
    attention_type: -1,
    flash_attn_type: -1,
    yarn_ext_factor: -1,
    defrag_thold: -1,
    type_k: 1,
    type_v: 1,
    offload_kqv: true,
    no_perf: true,
    op_offload: true,
    swa_full: true,
    kv_unified: false,
  },
  llama_model_quantize_default_params: {
    nthread: 0,
    ftype: 7,
    output_tensor_type: 43,
    token_embedding_type: 43,
    quantize_output_tensor: true,
    pure: false,
    max_buf_size: 8 * 2 ** 30,
  },
} as const;

export interface SelfCheck {
  llamaVersion: string;
  ggmlVersion: string;
}

/**
 * Compares the loaded library with the ABI tables.
 *
 * @throws {EngineError} naming everything that differs
 */
export function selfCheck(ggml: GgmlFunctions, llama: LlamaFunctions): SelfCheck {
  const llamaVersion = llama.llama_version() ?? "unknown";
  const ggmlVersion = ggml.ggml_version() ?? "unknown";
  const differences = [
    ...different("llama.cpp version", llamaVersion, LLAMA_VERSION),
    ...different("ggml version", ggmlVersion, GGML_VERSION),
    ...layoutDifferences(),
    ...(Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[]).flatMap((name) =>
      defaultDifferences(name, llama[name]() as Record<string, unknown>, DEFAULTS[name]),
    ),
  ];
  refuse(differences);
  return { llamaVersion, ggmlVersion };
}

/**
 * Compares ggml's base library with the ABI tables, as far as encoding and decoding weights need it.
 *
 * @throws {EngineError} naming everything that differs
 */
export function checkBase(ggml: GgmlFunctions): void {
  refuse([...different("ggml version", ggml.ggml_version() ?? "unknown", GGML_VERSION), ...layoutDifferences()]);
}

function refuse(differences: readonly string[]): void {
  if (differences.length === 0) return;
  throw new EngineError(`The native engine is not the one that Pare was built for: ${differences.join("; ")}`, {
    hint: "Remove node_modules and run npm ci again; Pare needs the exact version in its package.json",
  });
}

function layoutDifferences(): string[] {
  return Object.entries(STRUCTS).flatMap(([name, { sizeBytes, fields }]) => [
    ...different(`sizeof(${name})`, koffi.sizeof(name), sizeBytes),
    ...fields.flatMap(([field, , offset]) =>
      offset < 0 ? [] : different(`offsetof(${name}, ${field})`, koffi.offsetof(name, field), offset),
    ),
  ]);
}

function defaultDifferences(name: string, found: Record<string, unknown>, wanted: Record<string, unknown>): string[] {
  return Object.entries(wanted).flatMap(([field, value]) => different(`${name}().${field}`, found[field], value));
}

function different(what: string, found: unknown, wanted: unknown): string[] {
  return found === wanted ? [] : [`${what} is ${String(found)}, not ${String(wanted)}`];
}
