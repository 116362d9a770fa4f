// Faults in a sound GGUF file that would stop llama.cpp, some of them by aborting the process: found here first, and named.
// What the engine refuses with a message of its own (a missing tensor of a rare family, an unknown tokenizer) is left to it.
import { FormatError, messageOf } from "../errors.js";
import type { MetadataArray } from "../formats/gguf/metadata.js";
import type { Model } from "./model.js";
import { checkVocabulary } from "./check-vocabulary.js";

/** llama.cpp's LLAMA_MAX_LAYERS and LLAMA_MAX_EXPERTS. */
const LAYERS_MAX = 512;
const EXPERTS_MAX = 1024;

/** Families whose layers are the plain transformer block, so that its tensors can be asked for by name. */
const PLAIN_FAMILIES = new Set(["llama", "qwen2", "qwen3", "qwen3moe", "mistral3", "gemma", "gemma2", "gemma3"]);

const ROPE_SCALINGS = new Set(["none", "linear", "yarn", "longrope"]);

type CheckedModel = Pick<Model, "spec" | "metadata" | "tensors" | "path">;

/**
 * Checks that the engine can load a model. Takes time linear in the vocabulary and the number of tensors.
 *
 * @throws {FormatError} naming the fault
 */
export async function checkForEngine(model: CheckedModel): Promise<void> {
  try {
    for (const fault of faults(model)) throw new RangeError(fault);
  } catch (cause) {
    const path = model.path ?? model.spec.name ?? "model";
    throw new FormatError(path, `Cannot run "${path}": ${messageOf(cause)}`, {
      hint: "The file is damaged or was converted wrongly; convert or download it again",
      cause,
    });
  }
}

function* faults(model: CheckedModel): Generator<string> {
  yield* dimensionFaults(model);
  yield* headFaults(model);
  yield* expertFaults(model);
  yield* tensorFaults(model);
  yield* checkVocabulary(model);
}

function* dimensionFaults({ spec, metadata }: CheckedModel): Generator<string> {
  for (const key of ["context_length", "embedding_length", "block_count"]) {
    const name = `${spec.architecture}.${key}`;
    const value = metadata.number(name);
    if (value === undefined) yield `metadata "${name}" is absent`;
    else if (value < 1) yield `metadata "${name}" is ${value}, at least 1 is wanted`;
  }
  for (const key of ["attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"]) {
    const epsilon = metadata.number(`${spec.architecture}.${key}`) ?? 0;
    if (!(epsilon >= 0)) yield `metadata "${spec.architecture}.${key}" is ${epsilon}, at least 0 is wanted`;
  }
  if (spec.layers > LAYERS_MAX) yield `it has ${spec.layers} layers, the engine takes ${LAYERS_MAX}`;
  const ahead = metadata.number(`${spec.architecture}.nextn_predict_layers`) ?? 0;
  if (ahead > spec.layers) yield `nextn_predict_layers is ${ahead}, of ${spec.layers} layers`;
  const scaling = metadata.string(`${spec.architecture}.rope.scaling.type`);
  if (scaling !== undefined && !ROPE_SCALINGS.has(scaling))
    yield `rope.scaling.type is "${scaling}", which is not known`;
}

function* headFaults({ spec, metadata, tensors }: CheckedModel): Generator<string> {
  for (const key of ["attention.head_count", "attention.head_count_kv", "feed_forward_length"]) {
    yield* lengthFaults(
      `${spec.architecture}.${key}`,
      arrayAt({ metadata }, `${spec.architecture}.${key}`),
      spec.layers,
    );
  }
  for (const [layer, heads] of spec.heads.entries()) {
    const kvHeads = spec.kvHeads[layer]!;
    if (heads < 0 || kvHeads < 0) yield `layer ${layer} has ${heads} heads and ${kvHeads} KV heads`;
    if (heads < 1 && tensors.has(`blk.${layer}.attn_q.weight`)) yield `layer ${layer} has attention and ${heads} heads`;
    if (kvHeads > 0 && heads % kvHeads !== 0) {
      yield `layer ${layer} has ${heads} heads, which ${kvHeads} KV heads do not divide`;
    }
  }
  const heads = spec.heads[0] ?? 0;
  const isLengthStated = metadata.has(`${spec.architecture}.attention.key_length`);
  if (heads > 0 && !isLengthStated && spec.embeddingLength % heads !== 0) {
    yield `embedding_length ${spec.embeddingLength} is not a multiple of its ${heads} heads`;
  }
  if (spec.architecture === "llama" && spec.headLengthK !== spec.headLengthV) {
    yield `its key heads have ${spec.headLengthK} elements and its value heads ${spec.headLengthV}, equal ones are wanted`;
  }
}

function* expertFaults({ spec, metadata }: CheckedModel): Generator<string> {
  const { experts, expertsUsed, architecture } = spec;
  if (experts < 0 || experts > EXPERTS_MAX) yield `expert_count is ${experts}, the engine takes ${EXPERTS_MAX}`;
  const usedKey = `${architecture}.expert_used_count`;
  const usedArray = arrayAt({ metadata }, usedKey);
  yield* lengthFaults(usedKey, usedArray, spec.layers);
  const used = usedArray ? Math.max(0, ...usedArray.numbers()) : (metadata.number(usedKey) ?? 0);
  if (experts === 0 && used > 0 && !architecture.startsWith("hunyuan"))
    yield `expert_used_count is ${used} without experts`;
  if (experts > 0 && (expertsUsed < 1 || used > experts)) yield `it uses ${used} of ${experts} experts`;
  const groups = metadata.number(`${architecture}.expert_group_count`) ?? 0;
  const groupsUsed = metadata.number(`${architecture}.expert_group_used_count`) ?? 0;
  if (groups > 0 && groups >= experts) yield `it has ${groups} groups of ${experts} experts`;
  if (groups > 1 && experts % groups !== 0) yield `its ${experts} experts do not divide into ${groups} groups`;
  if (groups > 1 && (groupsUsed < 1 || groupsUsed >= groups)) yield `it uses ${groupsUsed} of ${groups} expert groups`;
}

function* tensorFaults({ spec, tensors }: CheckedModel): Generator<string> {
  const embedding = tensors.get("token_embd.weight");
  if (!embedding) yield `tensor "token_embd.weight" is missing`;
  else if (embedding.shape[0] !== spec.embeddingLength) {
    yield `tensor "token_embd.weight" has rows of ${embedding.shape[0]}, embedding_length is ${spec.embeddingLength}`;
  }
  const layersSeen = new Set<number>();
  for (const name of tensors.keys()) {
    const match = /^blk\.(\d+)\./.exec(name);
    if (match) layersSeen.add(Number(match[1]));
  }
  for (let layer = 0; layer < spec.layers; layer++) {
    // A layer of no heads and no width may be left out whole, as in pruned models of the deci family.
    const isEmpty = spec.heads[layer] === 0 && spec.feedForwardLength[layer] === 0;
    if (!layersSeen.has(layer) && !isEmpty) yield `layer ${layer} of ${spec.layers} has no tensors`;
    if (PLAIN_FAMILIES.has(spec.architecture)) yield* blockFaults(tensors, layer);
  }
}

function* blockFaults(tensors: CheckedModel["tensors"], layer: number): Generator<string> {
  const has = (name: string) => tensors.has(`blk.${layer}.${name}.weight`);
  const wanted = [
    "attn_norm",
    ...(has("attn_qkv") ? [] : ["attn_q", "attn_k", "attn_v"]),
    "attn_output",
    "ffn_norm",
    ...(has("ffn_gate_inp") ? [] : ["ffn_up", "ffn_down"]),
  ];
  for (const name of wanted) if (!has(name)) yield `tensor "blk.${layer}.${name}.weight" is missing`;
}

function arrayAt({ metadata }: Pick<CheckedModel, "metadata">, key: string): MetadataArray | undefined {
  return metadata.typeOf(key) === "array" ? metadata.array(key) : undefined;
}

function* lengthFaults(key: string, array: MetadataArray | undefined, layers: number): Generator<string> {
  if (array && array.length !== layers) yield `metadata "${key}" has ${array.length} values for ${layers} layers`;
}
