// The work of `quantize` on files: opens, plans, streams. Kept free of heavy imports, as its start counts on small models.
import { readImportance } from "../../calibrate/read-imatrix.js";
import { isRemote } from "../../formats/gguf/bytes.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { writeGguf } from "../../formats/gguf/write.js";
import type { Model } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { loadGgml } from "../../native/engine.js";
import { copyFileAtomic, sha256File } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import type { PassContext } from "../pass.js";
import { type TensorOutcome, outcomes } from "./outcome.js";
import { type QuantizationPlan, planQuantization } from "./plan.js";
import { parsePreset } from "./presets.js";
import { quantizeModel } from "./quantize-model.js";
import type { QuantizeOptions } from "./quantize-options.js";
import type { RecipeOrigin } from "./recipe-origin.js";
import { slabStreams } from "./stream-slabs.js";

/** What is to be done, wherever it was written down. */
export interface Order {
  input: string;
  options: QuantizeOptions;
  /** The importance file, and the name under which the output mentions it. */
  importance?: { path: string; name: string } | undefined;
  /** Of an order from a recipe: what it was made with, and has to be followed with. */
  origin?: RecipeOrigin | undefined;
}

/** How it is carried out. */
export interface Target {
  output: string;
  /** Native calls at once. */
  threads: number;
  /** True to return the SHA-256 of the file. */
  hash: boolean;
}

export interface Written {
  sizeBytes: number;
  tensors: TensorOutcome[];
  sha256?: string;
}

/** An order with all that it needs open. */
export interface Prepared extends AsyncDisposable {
  model: Model;
  plan: QuantizationPlan;
  importance: PassContext["importance"];
  /** True where nothing is to change: the file is copied byte for byte, header included. */
  isCopy: boolean;
}

/** Opens what an order names and plans it: headers only, and no native code. */
export async function prepare(order: Order, { signal }: RunOptions): Promise<Prepared> {
  const model = await openModel(order.input, { signal });
  try {
    const importance = order.importance && {
      path: order.importance.name,
      data: await readImportance(order.importance.path, { signal }),
    };
    const plan = planQuantization(model, order.options, importance);
    const isCopy = isPlainCopy(order, model);
    return { model, plan, importance, isCopy, [Symbol.asyncDispose]: () => model.close() };
  } catch (error) {
    await model.close();
    throw error;
  }
}

/** The parts of a split model and what lies on a server are written anew. */
function isPlainCopy({ options, importance }: Order, { path, parts }: Model): boolean {
  return parsePreset(options.type).name === "copy" && !importance && parts!.length === 1 && !isRemote(path!);
}

/** Writes what was prepared. */
export async function write(prepared: Prepared, target: Target, options: RunOptions): Promise<Written> {
  const { model, plan, importance } = prepared;
  if (prepared.isCopy) return copy(prepared, target, options);
  const quantized = quantizeModel(model, plan, { engine: loadGgml(), importance });
  const sources = [...quantized.tensors.values()];
  const streams = slabStreams(sources, target.threads + 2);
  const tensors = sources.map(({ name, shape, type }, index) => ({ name, shape, type, chunks: () => streams(index) }));
  const written = await writeGguf(
    target.output,
    { metadata: quantized.metadata, tensors },
    {
      hash: target.hash,
      signal: options.signal,
      onProgress: (progress) => options.onProgress?.({ ...progress, stage: "quantizing" }),
    },
  );
  return { ...written, tensors: outcomes(model, plan.assignments) };
}

async function copy({ model, plan }: Prepared, target: Target, { signal }: RunOptions): Promise<Written> {
  await copyFileAtomic(model.path!, target.output, signal);
  return {
    sizeBytes: model.fileSizeBytes!,
    tensors: outcomes(model, plan.assignments),
    ...(target.hash && { sha256: await sha256File(target.output, signal) }),
  };
}

/**
 * True where ggml's encoders may abort the process: those of the codebook types stop it when a group of weights, for
 * want of sound importance data, lands on no point of their grid. The others just compute.
 */
export function mayAbort({ assignments }: QuantizationPlan): boolean {
  return [...assignments.values()].some(({ type }) => CODEBOOK_TYPES.has(type));
}

const CODEBOOK_TYPES: ReadonlySet<GgmlType> = new Set<GgmlType>([
  "iq1_s",
  "iq1_m",
  "iq2_xxs",
  "iq2_xs",
  "iq2_s",
  "iq3_xxs",
  "iq3_s",
]);
