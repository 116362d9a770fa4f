// `quantize`: a model file in, a smaller one out; the file appears whole or not at all. Encoders that may abort the
// process run in a child; the others run here, which saves its start.
import { stat } from "node:fs/promises";
import { availableParallelism } from "node:os";

import { UsageError, messageOf } from "../../errors.js";
import { readGguf } from "../../formats/gguf/read.js";
import { ggufSizeBytes } from "../../formats/gguf/write.js";
import { checkForEngine } from "../../model/check.js";
import type { Model } from "../../model/model.js";
import { isolate } from "../../native/isolate.js";
import { refuseReplacing } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { type TensorOutcome, bitsPerWeightOf, countTypes, outcomes } from "./outcome.js";
import { parseChoices } from "./parse-choices.js";
import { type Order, type Target, type Written, mayAbort, prepare, write } from "./quantize-file.js";
import type { QuantizeOptions } from "./quantize-options.js";
import { requireRecipeAlone } from "./recipe-alone.js";
import { requireImportance, requireSource } from "./recipe-origin.js";

/** What to quantize, and how. */
export interface QuantizeRequest extends Partial<QuantizeOptions> {
  /** GGUF model; of a split one any part. */
  input: string;
  /** Where the result goes; not needed for a dry run. */
  output?: string | undefined;
  /** Importance data, from `calibrate` or llama-imatrix. */
  importance?: string | undefined;
  /** The name under which the file mentions the importance data; its path by default. */
  importanceName?: string | undefined;
  /** A recipe to follow, in place of the type and all that goes with it. */
  recipe?: string | undefined;
  /** Follow a recipe also with another model or importance data than its hashes say. */
  allowMismatch?: boolean | undefined;
  /** Say what would be written, and write nothing. */
  dryRun?: boolean | undefined;
  /** Return the SHA-256 of the file. */
  hash?: boolean | undefined;
  /** Native calls at once; by default as many as there are cores. The result does not depend on it. */
  threads?: number | undefined;
}

/** What was written, or would be. */
export interface QuantizeResult {
  sizeBytes: number;
  bitsPerWeight: number;
  seconds: number;
  /** How many tensors have each type. */
  types: Record<string, number>;
  tensors: TensorOutcome[];
  /** Of the file, where it was asked for. */
  sha256?: string;
  /** What will keep llama.cpp from running the result, as sentences: a fault that the source has already. */
  warnings: string[];
}

/**
 * Quantizes a model file. In every tensor the result equals that of `llama_model_quantize` with the same importance data.
 *
 * @throws {UsageError} when a name is unknown, input and output are one file, importance data are missing or of another
 * model, the model is quantized already, or a recipe was made with other files
 * @throws {FormatError} when the model or the importance data are unsound
 * @throws {ResourceError} when the disk has no room
 * @example
 * await quantize({ input: "model-f16.gguf", output: "model-q4.gguf", type: "q4_K_M", importance: "imatrix.gguf" });
 */
export async function quantize(request: QuantizeRequest, options: RunOptions = {}): Promise<QuantizeResult> {
  const startMs = performance.now();
  if (request.allowMismatch && request.recipe === undefined) {
    throw new UsageError("A mismatch is allowed, and there is no recipe that could have one", { hint: "Add --recipe" });
  }
  const order = request.recipe === undefined ? directOrder(request) : await recipeOrder(request, request.recipe);
  parseChoices(order.options); // complains about names before anything is opened
  const written = request.dryRun ? await foresee(order, options) : await carryOut(order, request, options);
  return {
    ...written,
    bitsPerWeight: bitsPerWeightOf(written.tensors),
    seconds: (performance.now() - startMs) / 1000,
    types: countTypes(written.tensors),
  };
}

function directOrder({ input, importance, importanceName, ...request }: QuantizeRequest): Order {
  const { type, tensorTypes, outputType, tokenEmbeddingType, pure, keepOutput, allowRequantize } = request;
  if (type === undefined) throw new UsageError("No type is given", { hint: "Add --type, such as --type q4_K_M" });
  return {
    input,
    options: { type, tensorTypes, outputType, tokenEmbeddingType, pure, keepOutput, allowRequantize },
    importance: importance === undefined ? undefined : { path: importance, name: importanceName ?? importance },
  };
}

async function recipeOrder(request: QuantizeRequest, path: string): Promise<Order> {
  requireRecipeAlone(request, path);
  const { onlyPass, readRecipe } = await import("../recipe.js"); // schemas take time to load, and few runs need them
  const recipe = await readRecipe(path);
  const { source } = recipe;
  const { importance, calibrate, ...options } = onlyPass(path, recipe, "quantize");
  if (calibrate) {
    throw new UsageError(`Recipe "${path}" was made with calibration, and quantize() does without`, {
      hint: "Follow it with quantizeCalibrated()",
    });
  }
  return {
    input: request.input,
    options: { ...options, allowRequantize: request.allowRequantize ?? options.allowRequantize },
    importance: importance && { path: importance.file, name: importance.name ?? importance.file },
    origin: request.allowMismatch
      ? undefined
      : { recipe: path, source: source?.sha256, importance: importance?.sha256 },
  };
}

/** The dry run: headers only, and no engine. */
async function foresee(order: Order, options: RunOptions): Promise<Written & Pick<QuantizeResult, "warnings">> {
  await using prepared = await prepare(order, options);
  const { assignments, metadata } = prepared.plan;
  const tensors = outcomes(prepared.model, assignments);
  return {
    tensors,
    sizeBytes: prepared.isCopy ? prepared.model.fileSizeBytes! : ggufSizeBytes({ metadata, tensors }),
    warnings: await warningsOf(prepared.model),
  };
}

/** llama-quantize says nothing of these either; its result aborts llama.cpp. */
async function warningsOf(model: Model): Promise<string[]> {
  try {
    await checkForEngine(model);
    return [];
  } catch (error) {
    return [messageOf(error)];
  }
}

async function carryOut(
  order: Order,
  request: QuantizeRequest,
  options: RunOptions,
): Promise<Written & Pick<QuantizeResult, "warnings">> {
  const { output, threads = availableParallelism(), hash = false } = request;
  const { input, importance, origin } = order;
  if (output === undefined) {
    throw new UsageError("No output path is given", { hint: "Name the file to write, or ask for a dry run" });
  }
  if (!Number.isInteger(threads) || threads < 1) throw new UsageError(`Threads are ${threads}, 1 or more are wanted`);
  await refuseTarget(output, input, importance?.path, options.signal);
  if (origin) await requireSource(origin, input, options); // before all that may fail just because it is another model
  const target: Target = { output, threads, hash };
  await using prepared = await prepare(order, options);
  if (origin && importance) await requireImportance(origin, importance.path, options);
  const [written, warnings] = await Promise.all([
    mayAbort(prepared.plan) ? writeInChild(order, target, options) : write(prepared, target, options),
    warningsOf(prepared.model), // takes no time of its own, as the encoders run beside it
  ]);
  return { ...written, warnings };
}

function writeInChild(order: Order, target: Target, options: RunOptions): Promise<Written> {
  return isolate<Order & Target, Written>(
    "passes/quantize/quantize.job",
    { ...order, ...target },
    { ...options, what: `quantizing "${order.input}"` },
  );
}

/** A part of the source, or the importance data, is no place to write to. */
async function refuseTarget(output: string, input: string, importance: string | undefined, signal?: AbortSignal) {
  const target = await stat(output).catch(() => undefined);
  if (!target) return;
  if (target.isDirectory()) {
    throw new UsageError(`Cannot write "${output}": a folder stands there`, { hint: "Name the file in it, too" });
  }
  await using gguf = await readGguf(input, { signal });
  await refuseReplacing(output, [...gguf.parts, ...(importance === undefined ? [] : [importance])]);
}
