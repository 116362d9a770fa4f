// From the tensors of a checkpoint to those of a GGUF file: names, stacks of experts, and what is missing or too much.
import { FormatError } from "../errors.js";
import type { Config } from "../formats/huggingface/config.js";
import type { Weight } from "../formats/huggingface/open-weights.js";
import type { Family, TensorRule } from "./family.js";
import { expertCount } from "./families/decoder.js";

/** A tensor of the output and what it is made of. */
export interface MappedTensor {
  /** In GGUF. */
  readonly name: string;
  readonly rule: TensorRule;
  /** One, or one per expert in order; all of one shape and type. */
  readonly parts: readonly Weight[];
}

/**
 * Maps a checkpoint's tensors, the embedding first and then layer by layer.
 *
 * @throws {FormatError} when one is missing, unknown, of a type that holds no weights, or there twice
 */
export function mapTensors(family: Family, config: Config, weights: Iterable<Weight>): MappedTensor[] {
  const targets = new Map<string, Target>();
  const layers = config.count("num_hidden_layers");
  for (const weight of weights) {
    const name = family.textName ? family.textName(weight.name) : weight.name;
    if (name === undefined) continue;
    const { pattern, indices } = patternOf(name);
    const rule = ruleOf(family, pattern) ?? unknownTensor(family, weight);
    if (rule.isDropped) continue;
    const [layer, expert = 0] = indices;
    if (layer !== undefined && layer >= layers) throw beyondLayers(weight, layers);
    if (expert >= EXPERTS_MAX)
      throw failure(weight.file.path, `tensor "${weight.name}" is of an expert beyond ${EXPERTS_MAX}`);
    place(targets, rule, layer, expert, weight);
  }
  requireAll(family, config, targets);
  const stacked = [...targets].map(([name, { rule, parts }]) => ({ name, rule, parts: stack(parts) }));
  return stacked.sort((a, b) => compare(placeInFile(a.name), placeInFile(b.name)));
}

/** More than any model has, and few enough to count through. */
const EXPERTS_MAX = 65_536;

interface Target {
  rule: TensorRule;
  parts: Weight[];
}

/** `model.layers.3.mlp.experts.7.up_proj.weight` is `model.layers.{layer}.mlp.experts.{expert}.up_proj.weight` of 3 and 7. */
function patternOf(name: string): { pattern: string; indices: number[] } {
  const indices: number[] = [];
  const pattern = name.replaceAll(/(?<=\.)\d+(?=\.)/g, (digits) => {
    indices.push(Number(digits));
    return indices.length === 1 ? "{layer}" : "{expert}";
  });
  return { pattern, indices };
}

function ruleOf({ tensors }: Family, pattern: string): TensorRule | undefined {
  const rule = Object.hasOwn(tensors, pattern) ? tensors[pattern] : undefined;
  return typeof rule === "string" ? { to: rule } : rule;
}

function place(targets: Map<string, Target>, rule: TensorRule, layer = 0, expert: number, weight: Weight): void {
  const { file, name, dtype } = weight;
  if (!["F32", "F16", "BF16", "F64", "Q4_0", "Q8_0"].includes(dtype)) {
    throw failure(file.path, `tensor "${name}" is of type ${dtype}; F32, F16 or BF16 is wanted`);
  }
  const to = rule.to.replace("{layer}", String(layer));
  const target = targets.get(to) ?? { rule, parts: [] };
  const twin = target.parts[expert];
  if (twin) throw failure(file.path, `tensors "${twin.name}" and "${name}" would both be "${to}"`);
  target.parts[expert] = weight;
  targets.set(to, target);
}

/** Each layer has each tensor, and each stack each expert; an output matrix is there where the embedding is not to serve. */
function requireAll(family: Family, config: Config, targets: ReadonlyMap<string, Target>): void {
  const isOwnOutput =
    ruleOf(family, "lm_head.weight")?.isDropped !== true && config.flag("tie_word_embeddings") === false;
  if (isOwnOutput && !targets.has("output.weight")) {
    throw failure(config.path, 'tensor "lm_head.weight" is missing, and tie_word_embeddings is false');
  }
  const layers = config.count("num_hidden_layers");
  for (const pattern of Object.keys(family.tensors)) {
    const rule = ruleOf(family, pattern)!;
    if (rule.isOptional) continue;
    for (let layer = 0; layer < (pattern.includes("{layer}") ? layers : 1); layer++) {
      const found = targets.get(rule.to.replace("{layer}", String(layer)))?.parts ?? [];
      const wanted = pattern.includes("{expert}") ? (expertCount(config) ?? 0) : 1;
      let missing = 0;
      while (missing < wanted && found[missing]) missing++;
      if (missing < wanted) {
        const name = pattern.replace("{layer}", String(layer)).replace("{expert}", String(missing));
        throw failure(config.path, `tensor "${name}" is missing`);
      }
      if (found.length > wanted) throw failure(config.path, `"${pattern}" has ${found.length} experts, not ${wanted}`);
    }
  }
}

function stack(parts: readonly Weight[]): readonly Weight[] {
  const [first] = parts;
  for (const { file, name, dtype, shape } of parts) {
    if (dtype === first!.dtype && shape.join() === first!.shape.join()) continue;
    const [found, wanted] = [`${dtype} [${shape.join(", ")}]`, `${first!.dtype} [${first!.shape.join(", ")}]`];
    throw failure(file.path, `tensor "${name}" is ${found}, and the first expert's is ${wanted}`);
  }
  return parts;
}

/** Infinity less infinity is no order. */
function compare(a: number, b: number): number {
  return a === b ? 0 : a - b;
}

/** The embedding, the layers, then the output. */
function placeInFile(name: string): number {
  const layer = /^blk\.(\d+)\./.exec(name)?.[1];
  if (layer !== undefined) return Number(layer);
  return name === "token_embd.weight" ? -1 : Infinity;
}

function unknownTensor(family: Family, { name, file }: Weight): never {
  throw new FormatError(file.path, `Cannot convert "${file.path}": ${family.name} has no tensor "${name}"`, {
    hint: "The checkpoint is quantized, has adapters, or is of another family than its config.json says",
  });
}

function beyondLayers({ name, file }: Weight, layers: number): FormatError {
  return failure(file.path, `tensor "${name}" is beyond the ${layers} layers that config.json says`);
}

function failure(path: string, reason: string): FormatError {
  return new FormatError(path, `Cannot convert "${path}": ${reason}`);
}
