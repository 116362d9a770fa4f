// What config.json says of packed weights, for compressed-tensors in transformers and vLLM.
import type { JsonObject } from "../../formats/huggingface/json-file.js";
import { GROUP_SIZE } from "./packed-tensor.js";

/** The matrices of a model, by the name of their module. */
export interface PackedModules {
  readonly fourBits: readonly string[];
  readonly eightBits: readonly string[];
  /** Those that stay as they are. */
  readonly plain: readonly string[];
}

export function quantizationConfig({ fourBits, eightBits, plain }: PackedModules): JsonObject {
  const isMixed = fourBits.length > 0 && eightBits.length > 0;
  const groups = [
    [4, fourBits],
    [8, eightBits],
  ] as const;
  const used = groups.filter(([, modules]) => modules.length > 0);
  return {
    quant_method: "compressed-tensors",
    format: "pack-quantized",
    quantization_status: "compressed",
    ignore: [...new Set(["lm_head", ...plain])],
    config_groups: Object.fromEntries(
      used.map(([bits, modules], index) => [`group_${index}`, group(bits, isMixed ? modules : ["Linear"])]),
    ),
  };
}

function group(bits: number, targets: readonly string[]): JsonObject {
  return {
    targets,
    weights: {
      num_bits: bits,
      type: "int",
      symmetric: true,
      strategy: "group",
      group_size: GROUP_SIZE,
      dynamic: false,
    },
    input_activations: null,
    output_activations: null,
  };
}
