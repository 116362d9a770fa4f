// Opens a checkpoint folder as a model: its tensors are converted when someone reads them.
import { stat } from "node:fs/promises";
import { join } from "node:path";

import { FormatError, PareError } from "../errors.js";
import type { Metadata } from "../formats/gguf/metadata.js";
import { Config } from "../formats/huggingface/config.js";
import { readJsonFile } from "../formats/huggingface/json-file.js";
import { readModelCard } from "../formats/huggingface/model-card.js";
import { type Weight, type Weights, openWeights } from "../formats/huggingface/open-weights.js";
import { specialTokens } from "../formats/huggingface/special-tokens.js";
import { readTokenizerFiles } from "../formats/huggingface/tokenizer-files.js";
import { readVocabulary } from "../formats/huggingface/vocabulary.js";
import { checkForEngine } from "../model/check.js";
import type { LazyTensor, Model } from "../model/model.js";
import { modelSpec } from "../model/spec.js";
import { loadGgml } from "../native/engine.js";
import { computedTensor, convertedTensor } from "./converted-tensor.js";
import { familyOf } from "./families/registry.js";
import type { Family } from "./family.js";
import { generalMetadata } from "./general-metadata.js";
import { Hyperparameters } from "./hyperparameters.js";
import { mapTensors } from "./map-tensors.js";
import { type Origin, originOf } from "./origin.js";
import { restoreWeights } from "./quantized/restore.js";
import { addSpecialTokens, addTemplates, addVocabulary } from "./tokenizer-metadata.js";

/** The types that matrices can be converted to, and llama.cpp's numbers for files of them. */
export const FILE_TYPES = { f32: 0, f16: 1, q8_0: 7, bf16: 32 } as const;
export type ConvertedType = keyof typeof FILE_TYPES;

export interface CheckpointOptions {
  /** Type of the matrices; that of the checkpoint's by default. */
  type?: ConvertedType | undefined;
  /** llama.cpp's name of the pre-tokenizer, where the checkpoint's is not known. */
  preTokenizer?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** A checkpoint, open for reading. */
export interface Checkpoint extends AsyncDisposable {
  readonly model: Model;
  readonly family: Family;
  readonly type: ConvertedType;
  readonly origin: Origin;
  /** The files that hold its weights. */
  readonly files: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Opens a folder with `config.json`, a tokenizer and safetensors.
 *
 * @throws {FormatError} when a file is damaged or missing, or the architecture is unknown; the hint lists the known ones
 */
export async function openCheckpoint(folder: string, options: CheckpointOptions = {}): Promise<Checkpoint> {
  const config = await readConfig(folder);
  const family = familyOf(config);
  const full = config.merged(config.section("text_config"), family.defaults);
  const weights = await openWeights(folder, { signal: options.signal });
  try {
    const tensors = await restoreWeights(weights.tensors, config);
    return await checkpointOf(folder, full, family, { ...weights, tensors }, options);
  } catch (error) {
    await weights[Symbol.asyncDispose]();
    throw error;
  }
}

async function checkpointOf(
  folder: string,
  config: Config,
  family: Family,
  weights: Weights,
  options: CheckpointOptions,
): Promise<Checkpoint> {
  const type = options.type ?? sourceType(weights.tensors.values());
  const keepsBlocks = options.type === undefined;
  const tensors = convertedTensors(family, config, weights, { type, keepsBlocks });
  const origin = originOf(folder);
  const { metadata, warnings } = await metadataOf(folder, config, family, tensors, { ...options, type, origin });
  const files = weights.files.map(({ path }) => path);
  const close = () => Promise.resolve(weights[Symbol.asyncDispose]());
  const model: Model = {
    spec: modelSpec(metadata, tensors),
    metadata,
    tensors,
    path: folder,
    parts: files,
    close,
    [Symbol.asyncDispose]: close,
  };
  await checkForEngine(model);
  return { model, family, type, origin, files, warnings, [Symbol.asyncDispose]: close };
}

async function readConfig(folder: string): Promise<Config> {
  const stats = await stat(folder).catch(() => undefined);
  if (!stats) throw new PareError(`Cannot read "${folder}": there is no such folder`);
  if (!stats.isDirectory()) {
    throw new PareError(`Cannot convert "${folder}": it is a file`, {
      hint: "Name the folder that has config.json, the tokenizer and the safetensors",
    });
  }
  const path = join(folder, "config.json");
  const values = await readJsonFile(path);
  if (!values) throw new FormatError(path, `Cannot read "${folder}": there is no config.json`);
  return new Config(path, values);
}

function convertedTensors(
  family: Family,
  config: Config,
  weights: Weights,
  { type, keepsBlocks }: { type: ConvertedType; keepsBlocks: boolean },
) {
  const mapped = mapTensors(family, config, weights.tensors.values());
  const tensors = new Map<string, LazyTensor>();
  for (const tensor of mapped) tensors.set(tensor.name, convertedTensor(tensor, type, config, loadGgml, keepsBlocks));
  for (const tensor of family.computed?.(config) ?? []) tensors.set(tensor.name, computedTensor(tensor));
  return tensors;
}

async function metadataOf(
  folder: string,
  config: Config,
  family: Family,
  tensors: ReadonlyMap<string, LazyTensor>,
  options: CheckpointOptions & { type: ConvertedType; origin: Origin },
): Promise<{ metadata: Metadata; warnings: string[] }> {
  const files = await readTokenizerFiles(folder);
  const about = {
    card: await readModelCard(folder),
    config: config.values,
    generation: (await readJsonFile(join(folder, "generation_config.json"))) ?? {},
    origin: options.origin,
  };
  const metadata = generalMetadata(about, family.architecture, [...tensors.values()]);
  family.describe(config, new Hyperparameters(metadata, family.architecture));
  metadata.set("general.file_type", "uint32", fileTypeOf(tensors, options.type));
  metadata.set("general.quantization_version", "uint32", 2); // how blocks are laid out, since May 2023
  const size = tokenCount(config, tensors);
  const { preTokenizer } = options;
  const own = readVocabulary(files, { size, preTokenizer, trustsMarks: family.trustsMarks });
  const vocabulary = { ...own, addsSpacePrefix: family.addsSpacePrefix ?? own.addsSpacePrefix };
  addVocabulary(metadata, vocabulary);
  addSpecialTokens(metadata, specialTokens(files, config, size), vocabulary);
  return { metadata, warnings: addTemplates(metadata, files.templates) };
}

/** Rows of the embedding. */
function tokenCount(config: Config, tensors: ReadonlyMap<string, LazyTensor>): number {
  const { shape } = tensors.get("token_embd.weight")!;
  if (shape.length === 2 && shape[1]! <= TOKENS_MAX) return shape[1]!;
  const message = `Cannot convert "${config.path}": its embedding is ${shape.join(" × ")}, a row for each of its tokens is wanted`;
  throw new FormatError(config.path, message);
}

/** Four times the largest vocabulary in use. */
const TOKENS_MAX = 2 ** 20;

/** llama.cpp's number for the type that most blocks are of, where a checkpoint had such. */
function fileTypeOf(tensors: ReadonlyMap<string, LazyTensor>, type: ConvertedType): number {
  const count = (wanted: string): number => [...tensors.values()].filter((tensor) => tensor.type === wanted).length;
  if (type === "q8_0" || count("q4_0") + count("q8_0") === 0) return FILE_TYPES[type];
  return count("q4_0") >= count("q8_0") ? FILE_TYPE_Q4_0 : FILE_TYPES.q8_0;
}

const FILE_TYPE_Q4_0 = 2;

/** The type of the first matrix that was not quantized. */
function sourceType(weights: Iterable<Weight>): ConvertedType {
  for (const { dtype, shape } of weights) {
    if (shape.length < 2 || dtype.startsWith("Q")) continue;
    return dtype === "BF16" ? "bf16" : dtype === "F16" ? "f16" : "f32";
  }
  return "f32";
}
