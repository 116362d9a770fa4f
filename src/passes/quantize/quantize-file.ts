// The work of `quantize` on files: opens, plans, streams. Kept free of heavy imports, as its start counts on small models.
import { readImportance } from "../../calibrate/read-imatrix.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { writeGguf } from "../../formats/gguf/write.js";
import type { Model } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { loadGgml } from "../../native/engine.js";
import type { RunOptions } from "../../support/progress.js";
import type { PassContext } from "../pass.js";
import { type TensorOutcome, outcomes } from "./outcome.js";
import { type QuantizationPlan, planQuantization } from "./plan.js";
import { quantizeModel } from "./quantize-model.js";
import type { QuantizeOptions } from "./quantize-options.js";
import { slabStreams } from "./stream-slabs.js";

/** What is to be done, wherever it was written down. */
export interface Order {
  input: string;
  options: QuantizeOptions;
  /** The importance file, and the name under which the output mentions it. */
  importance?: { path: string; name: string } | undefined;
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
    return { model, plan, importance, [Symbol.asyncDispose]: () => model.close() };
  } catch (error) {
    await model.close();
    throw error;
  }
}

/** Writes what was prepared. */
export async function write(prepared: Prepared, target: Target, options: RunOptions): Promise<Written> {
  const { model, plan, importance } = prepared;
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
