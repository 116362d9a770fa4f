// A GGUF model as what a checkpoint of its family would say: its config.json and its tensors, under transformers' names.
import { FormatError } from "../errors.js";
import type { JsonObject } from "../formats/huggingface/json-file.js";
import type { Model } from "../model/model.js";
import { loadGgml } from "../native/engine.js";
import { dequantize } from "../native/ggml.js";
import { FAMILIES } from "./families/registry.js";
import type { Family } from "./family.js";
import { Recollection } from "./recollection.js";
import { type RestoredTensor, isConfiguration, restoreTensors } from "./restore-tensors.js";

/** What a checkpoint is made of, but for its tokenizer. */
export interface RestoredCheckpoint {
  readonly family: Family;
  /** Without the type of the weights and how they are quantized. */
  readonly config: JsonObject;
  readonly tensors: readonly RestoredTensor[];
}

/** @throws {FormatError} when the model's family is unknown, or is not all that the file holds */
export async function restoreCheckpoint(model: Model): Promise<RestoredCheckpoint> {
  const family = familyOfModel(model);
  const vectors = new Map<string, Float32Array>();
  for (const { name, type, shape, readRows } of model.tensors.values()) {
    if (isConfiguration(name)) vectors.set(name, dequantize(loadGgml(), type, await readRows(0, 1), shape[0]!));
  }
  const from = new Recollection(model, vectors);
  const token = (kind: string) => model.metadata.number(`tokenizer.ggml.${kind}_token_id`) ?? null;
  const config = {
    architectures: [family.classes[0]],
    model_type: family.modelType,
    vocab_size: model.tensors.get("token_embd.weight")!.shape[1],
    ...family.restore(from),
    tie_word_embeddings: !from.has("output.weight"),
    bos_token_id: token("bos"),
    eos_token_id: token("eos"),
    pad_token_id: token("padding"),
  };
  return { family, config, tensors: restoreTensors(family, model) };
}

/** llama.cpp calls several families `llama`; what tells them apart is experts. */
function familyOfModel({ spec, path = "model" }: Model): Family {
  const family = FAMILIES.filter(({ architecture }) => architecture === spec.architecture);
  const found =
    spec.architecture === "llama" && spec.experts > 0
      ? family.find(({ modelType }) => modelType === "mixtral")
      : family[0];
  if (found) return found;
  throw new FormatError(path, `Cannot export "${path}": its architecture is "${spec.architecture}"`, {
    hint: `Known are ${[...new Set(FAMILIES.map(({ architecture }) => architecture))].join(", ")}`,
  });
}
