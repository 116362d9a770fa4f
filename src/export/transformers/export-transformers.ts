// `export transformers` and `export vllm`: a folder that both load, with safetensors, configuration and tokenizer.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { type RestoredCheckpoint, restoreCheckpoint } from "../../convert/restore-checkpoint.js";
import type { RestoredTensor } from "../../convert/restore-tensors.js";
import { PareError, UsageError } from "../../errors.js";
import type { Metadata } from "../../formats/gguf/metadata.js";
import type { JsonObject } from "../../formats/huggingface/json-file.js";
import type { SafetensorsTensorSource } from "../../formats/safetensors/write.js";
import type { Model } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { writeFailure, writeFileAtomic } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { shellQuote } from "../../support/shell-quote.js";
import { statedSampling } from "../model-facts.js";
import type { Parity } from "../parity/compare.js";
import { exportAdapter } from "./export-adapter.js";
import { orderedRows } from "./decoded-rows.js";
import { packedBits, packedTensors } from "./packed-tensor.js";
import { PLAIN_TYPES, type PlainType, plainTensor } from "./plain-tensor.js";
import { type PackedModules, quantizationConfig } from "./quantization-config.js";
import { exportedTokenizer } from "./tokenizer-files.js";
import { type TransformersParityRequest, transformersParity } from "./transformers-parity.js";
import { writeShards } from "./write-shards.js";

/** What to export. */
export interface TransformersExportRequest {
  /** GGUF file. */
  model: string;
  /** Folder to write to. */
  output: string;
  /** `f16`, `bf16`, `f32`, or `packed` for 4 and 8 bits; by default `bf16` for a model of that type, else `f16`. */
  weights?: string | undefined;
  /** Folder of the checkpoint that the model was converted from: its tokenizer is taken byte for byte. */
  tokenizer?: string | undefined;
  /** LoRA adapter in GGUF form, which goes into `adapter/` in PEFT's. */
  adapter?: string | undefined;
  /** Python to compare with; `python3` or `python` on the PATH by default. */
  python?: string | undefined;
  /** False to leave the comparison out. */
  parity?: boolean | undefined;
}

/** What was written. */
export interface TransformersExportResult {
  /** The folder. */
  path: string;
  /** The class that loads it. */
  architecture: string;
  weights: string;
  /** Matrices of each kind: `4-bit`, `8-bit`, and the plain type. */
  matrices: Record<string, number>;
  sizeBytes: number;
  /** Where the tokenizer was copied from; null when it was restored from the model. */
  tokenizer: string | null;
  parity: Parity;
  /** What to do next. */
  commands: string[];
  warnings: string[];
}

const TORCH_TYPES = { f16: "float16", bf16: "bfloat16", f32: "float32" } as const;

/**
 * Writes the folder.
 *
 * @throws {UsageError} when the weights have no such form
 * @throws {FormatError} when the family or the tokenizer is not known
 * @throws {PareError} when half precision does not hold a value
 */
export async function exportTransformers(
  request: TransformersExportRequest,
  options: RunOptions = {},
): Promise<TransformersExportResult> {
  const { output } = request;
  await using model = await openModel(request.model, { signal: options.signal });
  const weights = weightsOf(request.weights, model);
  const checkpoint = await restoreCheckpoint(model);
  const tokenizer = await exportedTokenizer(model, { folder: request.tokenizer });
  const { tensors, modules, type } = encodedTensors(checkpoint, weights, request.model);
  await mkdir(output, { recursive: true }).catch((cause: unknown) => {
    throw writeFailure(output, cause);
  });
  const sizeBytes = await writeShards(output, tensors, options);
  const config = {
    ...checkpoint.config,
    torch_dtype: TORCH_TYPES[type],
    ...(weights === "packed" && { quantization_config: quantizationConfig(modules) }),
  };
  const put = (name: string, data: unknown) =>
    writeFileAtomic(join(output, name), `${JSON.stringify(data, null, 2)}\n`);
  await put("config.json", config);
  await put("generation_config.json", generationConfig(model.metadata));
  for (const [name, data] of tokenizer.files) await writeFileAtomic(join(output, name), data);
  if (request.adapter !== undefined) await exportAdapter(request.adapter, checkpoint, join(output, "adapter"));
  const needs = ["torch", "transformers", ...(weights === "packed" ? ["compressed_tensors"] : [])];
  const parity = await transformersParity({ ...parityRequest(request), needs }, options);
  return {
    path: output,
    architecture: checkpoint.family.classes[0]!,
    weights,
    matrices: countOf(modules, type),
    sizeBytes,
    tokenizer: tokenizer.source ?? null,
    parity,
    commands: [`vllm serve ${shellQuote(output)}`, `transformers serve ${shellQuote(output)}`],
    warnings: warningsOf(weights, modules, request.model),
  };
}

function parityRequest({
  model,
  output: folder,
  python,
  parity,
}: TransformersExportRequest): TransformersParityRequest {
  return { model, folder, python, parity };
}

function weightsOf(given: string | undefined, { tensors, spec, path }: Model): PlainType | "packed" {
  if (given === undefined) return [...tensors.values()].some(({ type }) => type === "bf16") ? "bf16" : "f16";
  if (given === "packed" && spec.experts > 0) {
    throw new PareError(`Cannot export "${path}": packed weights are not written for mixtures of experts`, {
      hint: "Choose --weights f16",
    });
  }
  if (given === "packed" || Object.hasOwn(PLAIN_TYPES, given)) return given as PlainType | "packed";
  throw new UsageError(`"${given}" is no form of weights`, { hint: "Choose of f16, bf16, f32, packed" });
}

/** The tensors to write, and which matrices are packed. */
function encodedTensors({ tensors, config }: RestoredCheckpoint, weights: PlainType | "packed", path: string) {
  const type: PlainType = weights === "packed" ? "f16" : weights;
  const modules = { fourBits: [] as string[], eightBits: [] as string[], plain: [] as string[] };
  const encoded = tensors.flatMap((tensor): SafetensorsTensorSource[] => {
    const rows = orderedRows(tensor, config, path);
    const bits = weights === "packed" && isProjection(tensor) ? packedBits(tensor.source.type) : undefined;
    if (tensor.source.shape.length > 1 && isProjection(tensor)) {
      const list = bits === 4 ? modules.fourBits : bits === 8 ? modules.eightBits : modules.plain;
      list.push(tensor.name.replace(/\.weight$/, ""));
    }
    return bits === undefined ? [plainTensor(tensor, rows, type)] : packedTensors(tensor, rows);
  });
  return { tensors: encoded, modules, type };
}

/** A matrix of the layers, not the embedding, the output or a router. */
function isProjection({ name }: RestoredTensor): boolean {
  return /_proj\.weight$|\.w[123]\.weight$/.test(name);
}

function countOf({ fourBits, eightBits, plain }: PackedModules, type: PlainType): Record<string, number> {
  const counts = { "4-bit": fourBits.length, "8-bit": eightBits.length, [type]: plain.length };
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

function generationConfig(metadata: Metadata): JsonObject {
  const id = (kind: string) => metadata.number(`tokenizer.ggml.${kind}_token_id`);
  const ends = [...new Set([id("eos"), id("eot")].filter((end) => end !== undefined))];
  const sampling = statedSampling(metadata);
  return {
    bos_token_id: id("bos"),
    eos_token_id: ends.length > 1 ? ends : ends[0],
    pad_token_id: id("padding"),
    ...(Object.keys(sampling).length > 0 && { do_sample: true, ...sampling }),
  };
}

function warningsOf(weights: string, { fourBits, eightBits, plain }: PackedModules, path: string): string[] {
  if (weights !== "packed" || plain.length === 0) return [];
  const [packed, total] = [fourBits.length + eightBits.length, fourBits.length + eightBits.length + plain.length];
  return [
    `${plain.length} of ${total} matrices of "${path}" are of types that the packed layout can't hold without rounding them anew, so they are f16` +
      (packed === 0 ? "; pare quantize --type q4_0 makes a model that it holds" : ""),
  ];
}
