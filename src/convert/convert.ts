// `convert`: a Hugging Face checkpoint as a GGUF file. Tensor after tensor goes through memory; the model never does.
import { stat } from "node:fs/promises";

import { PareError, UsageError } from "../errors.js";
import { type PullRequest, pull } from "../hub/pull.js";
import { refuseReplacing } from "../support/files.js";
import { isReference } from "../hub/reference.js";
import type { RunOptions } from "../support/progress.js";
import { saveModel } from "../model/save.js";
import { type ConvertedType, FILE_TYPES, openCheckpoint } from "./open-checkpoint.js";

/** What to convert, and to what. */
export interface ConvertRequest {
  /** Folder with `config.json`, a tokenizer and safetensors; or a model on the hub, `org/name`, which is pulled. */
  input: string;
  /** GGUF file to write. */
  output: string;
  /** `f32`, `f16`, `bf16` or `q8_0`; that of the checkpoint's matrices by default. */
  type?: string | undefined;
  /** llama.cpp's name of the pre-tokenizer, for a tokenizer that is not known. */
  preTokenizer?: string | undefined;
  /** Branch, tag or commit of a model on the hub; `main` by default. */
  revision?: string | undefined;
  /** Where the hub and the cache are; from the environment by default. */
  settings?: PullRequest["settings"];
}

/** What was written. */
export interface ConvertResult {
  path: string;
  /** llama.cpp's name of the family. */
  architecture: string;
  name?: string | undefined;
  type: string;
  /** Tensors of each type. */
  types: Record<string, number>;
  tensors: number;
  parameters: number;
  sizeBytes: number;
  sha256: string;
  license?: string | undefined;
  /** Page and commit that it is from, where they are known. */
  source?: string | undefined;
  revision?: string | undefined;
  seconds: number;
  warnings: readonly string[];
}

/**
 * Converts a checkpoint. Norms, biases and routers become `f32`, as in llama.cpp's converter.
 *
 * @throws {UsageError} when the type is none of the four
 * @throws {HubError} when a model is to be pulled and the hub refuses
 * @throws {FormatError} when a file is damaged or missing, or the architecture is unknown; the hint lists the known ones
 * @throws {ResourceError} when the disk has no room for it
 * @example
 * const { sizeBytes } = await convert({ input: "HuggingFaceTB/SmolLM2-135M", output: "smollm2.gguf" });
 */
export async function convert(request: ConvertRequest, options: RunOptions = {}): Promise<ConvertResult> {
  const started = performance.now();
  options.signal?.throwIfAborted();
  const type = parseType(request.type);
  const local = await localFolder(request, options);
  const { preTokenizer } = request;
  await using checkpoint = await openCheckpoint(local.path, { preTokenizer, type, signal: options.signal });
  const { model, origin, files } = checkpoint;
  await refuseReplacing(request.output, files);
  const written = await saveModel(model, request.output, {
    ...options,
    onProgress: (progress) => options.onProgress?.({ ...progress, stage: "converting" }),
  });
  const types: Record<string, number> = {};
  for (const tensor of model.tensors.values()) types[tensor.type] = (types[tensor.type] ?? 0) + 1;
  return {
    path: request.output,
    architecture: model.spec.architecture,
    name: model.spec.name,
    type: checkpoint.type,
    types,
    tensors: model.tensors.size,
    parameters: model.spec.parametersTotal,
    ...written,
    license: model.metadata.string("general.license"),
    source: origin.url,
    revision: origin.revision,
    seconds: (performance.now() - started) / 1000,
    warnings: [...local.warnings, ...checkpoint.warnings],
  };
}

/** The folder that is named, or what is pulled under that name. */
async function localFolder(
  request: ConvertRequest,
  options: RunOptions,
): Promise<{ path: string; warnings: string[] }> {
  const { input, revision, settings } = request;
  if (await stat(input).catch(() => undefined)) {
    if (revision === undefined) return { path: input, warnings: [] };
    throw new UsageError(`"${input}" is a folder, which has no revisions`, { hint: "Leave --revision out" });
  }
  if (!isReference(input)) throw new PareError(`Cannot read "${input}": there is no such folder`);
  const pulled = await pull({ model: input, revision, settings }, options);
  if (!pulled.path.endsWith(".gguf")) return pulled;
  throw new UsageError(`"${input}" is GGUF already`, { hint: `It is at ${pulled.path}` });
}

function parseType(text: string | undefined): ConvertedType | undefined {
  const type = text?.toLowerCase();
  if (type === undefined || Object.hasOwn(FILE_TYPES, type)) return type as ConvertedType | undefined;
  throw new UsageError(`"${text}" is no type to convert to`, {
    hint: `Choose of ${Object.keys(FILE_TYPES).join(", ")}; pare quantize makes the others`,
  });
}
