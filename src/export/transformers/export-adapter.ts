// A LoRA adapter in PEFT's form, from llama.cpp's: two narrow matrices per matrix of the model, A [rank × inputs] and
// B [outputs × rank], under the names of the checkpoint. E. J. Hu et al., *LoRA*, arXiv:2106.09685.
import { join } from "node:path";

import type { RestoredCheckpoint } from "../../convert/restore-checkpoint.js";
import type { RestoredTensor } from "../../convert/restore-tensors.js";
import { FormatError } from "../../errors.js";
import { writeSafetensors } from "../../formats/safetensors/write.js";
import type { LazyTensor, Model } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { writeFileAtomic } from "../../support/files.js";
import { orderedRows } from "./decoded-rows.js";
import { plainTensor } from "./plain-tensor.js";

interface AdaptedMatrix {
  /** Of the checkpoint, without `.weight`. */
  module: string;
  target: RestoredTensor;
  a: LazyTensor;
  b: LazyTensor;
}

/**
 * Writes `adapter_config.json` and `adapter_model.safetensors`.
 *
 * @param path GGUF file of the adapter
 * @param folder to write to
 * @throws {FormatError} when it is no LoRA adapter, or one of another model
 */
export async function exportAdapter(path: string, checkpoint: RestoredCheckpoint, folder: string): Promise<void> {
  await using adapter = await openModel(path);
  const matrices = matricesOf(adapter, checkpoint, path);
  const tensors = matrices.flatMap(({ module, target, a, b }) => {
    const part = (source: LazyTensor, letter: string, rule: RestoredTensor["rule"]) => {
      const tensor = { name: `base_model.model.${module}.lora_${letter}.weight`, source, rule };
      return plainTensor(tensor, orderedRows(tensor, checkpoint.config, path), "f32");
    };
    return [part(a, "A", { to: a.name }), part(b, "B", { ...target.rule, to: b.name })];
  });
  await writeSafetensors(join(folder, "adapter_model.safetensors"), tensors);
  const config = adapterConfig(matrices, adapter.metadata.number("adapter.lora.alpha"));
  await writeFileAtomic(join(folder, "adapter_config.json"), `${JSON.stringify(config, null, 2)}\n`);
}

function matricesOf(adapter: Model, { tensors, family }: RestoredCheckpoint, path: string): AdaptedMatrix[] {
  const fail = (reason: string): never => {
    throw new FormatError(path, `Cannot export the adapter "${path}": ${reason}`);
  };
  const kind = `${adapter.metadata.string("general.type")} ${adapter.metadata.string("adapter.type")}`;
  if (kind !== "adapter lora") fail("it is no LoRA adapter");
  if (adapter.spec.architecture !== family.architecture) fail(`it is for a ${adapter.spec.architecture} model`);
  const names = new Set([...adapter.tensors.keys()].map((name) => name.replace(/\.lora_[ab]$/, "")));
  return [...names].map((name) => {
    const [a, b] = [adapter.tensors.get(`${name}.lora_a`), adapter.tensors.get(`${name}.lora_b`)];
    const target = tensors.find(({ source, expert }) => source.name === name && expert === undefined);
    if (!a || !b) return fail(`"${name}" has not both of lora_a and lora_b`);
    if (!target) return fail(`the model has no matrix "${name}", or it is one of experts`);
    const [inputs, outputs] = target.source.shape;
    if (a.shape[0] !== inputs || b.shape[1] !== outputs || a.shape[1] !== b.shape[0]) {
      return fail(
        `"${name}" is ${inputs} × ${outputs} in the model, and the adapter's is ${a.shape[0]} × ${b.shape[1]}`,
      );
    }
    return { module: target.name.replace(/\.weight$/, ""), target, a, b };
  });
}

/** @param alpha 0 or absent adds the product as it is */
function adapterConfig(matrices: readonly AdaptedMatrix[], alpha: number | undefined) {
  const rank = matrices[0]?.b.shape[0] ?? 0;
  const others = matrices.filter(({ b }) => b.shape[0] !== rank).map(({ module, b }) => [module, b.shape[0]!] as const);
  return {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: "..",
    inference_mode: true,
    r: rank,
    lora_alpha: alpha || rank,
    rank_pattern: Object.fromEntries(others),
    alpha_pattern: alpha ? {} : Object.fromEntries(others),
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: false,
    target_modules: matrices.map(({ module }) => module),
  };
}
