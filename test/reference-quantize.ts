// llama.cpp's own quantizer, called as a whole: what Pare's is compared with, byte for byte.
import koffi from "koffi";

import type { GgmlType } from "../src/formats/gguf/ggml-types.js";
import { GGML_TYPES } from "../src/formats/gguf/ggml-types.js";
import { type Engine, loadEngine } from "../src/native/engine.js";

export interface ReferenceOptions {
  fileType: number;
  threads?: number;
  /** Mean squares by tensor name, [columns × matrices]. */
  importance?: ReadonlyMap<string, Float32Array>;
  overrides?: readonly { pattern: string; type: GgmlType }[];
  outputType?: GgmlType;
  tokenEmbeddingType?: GgmlType;
  pure?: boolean;
  keepOutput?: boolean;
  onlyCopy?: boolean;
  allowRequantize?: boolean;
}

/** Runs `llama_model_quantize`. @throws {Error} with the engine's log when it refuses */
export function referenceQuantize(input: string, output: string, options: ReferenceOptions): void {
  run(loadEngine(), input, output, options, false);
}

/** The type of each tensor, by `llama_model_quantize`'s dry run. @throws {Error} with the engine's log when it refuses */
export function referenceTypes(input: string, options: ReferenceOptions): Map<string, GgmlType> {
  const engine = loadEngine();
  const types = new Map<string, GgmlType>();
  engine.log.onLine = ({ text }) => {
    // [  12/  20] blk.0.attn_k.weight   - [ 256, 64, 1, 1], type =    f16, size =  0.03 MiB ->  0.01 MiB (q4_K)
    const match = /\] (\S+) +- \[[\d, ]+\], type = +(\w+), size = .*?(?:\((\w+)\))?$/.exec(text);
    if (match) types.set(match[1]!, (match[3] ?? match[2]) as GgmlType);
  };
  try {
    run(engine, input, "", options, true);
  } finally {
    engine.log.onLine = undefined;
  }
  return types;
}

// What native code reads until the call returns. In buffers of their own: V8 moves small typed arrays about.
const pinned: Uint8Array[] = [];

function pin(view: ArrayBufferView): bigint {
  const copy = new Uint8Array(new ArrayBuffer(view.byteLength));
  copy.set(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  pinned.push(copy);
  return koffi.address(copy);
}

function run(engine: Engine, input: string, output: string, options: ReferenceOptions, dryRun: boolean): void {
  const text = (value: string) => pin(Buffer.from(`${value}\0`));
  const importance = [...(options.importance ?? [])].flatMap(([name, data]) => [
    text(name),
    pin(data),
    BigInt(data.length),
  ]);
  const overrides = (options.overrides ?? []).flatMap(({ pattern, type }) => [
    text(pattern),
    BigInt(GGML_TYPES[type].id),
  ]);
  const typeId = (type: GgmlType | undefined) => (type ? GGML_TYPES[type].id : defaults.output_tensor_type);
  const defaults = engine.llama.llama_model_quantize_default_params();
  const params = {
    ...defaults,
    nthread: options.threads ?? 2,
    ftype: options.fileType,
    output_tensor_type: typeId(options.outputType),
    token_embedding_type: typeId(options.tokenEmbeddingType),
    allow_requantize: options.allowRequantize ?? false,
    quantize_output_tensor: !options.keepOutput,
    only_copy: options.onlyCopy ?? false,
    pure: options.pure ?? false,
    dry_run: dryRun,
    imatrix: importance.length > 0 ? pin(new BigUint64Array([...importance, 0n, 0n, 0n])) : null,
    tt_overrides: overrides.length > 0 ? pin(new BigUint64Array([...overrides, 0n, 0n])) : null,
  };
  const struct = new Uint8Array(new ArrayBuffer(64));
  koffi.encode(koffi.address(struct), "llama_model_quantize_params", params);
  engine.log.clear();
  const status = engine.llama.llama_model_quantize(input, output, struct);
  pinned.length = 0;
  if (status !== 0) throw new Error(engine.log.recent().join("\n"));
}
