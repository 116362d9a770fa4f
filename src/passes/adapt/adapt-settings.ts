// What `adapt` can be asked for, and what it means for a model: which matrices get a low-rank adapter, of which rank.
import { UsageError } from "../../errors.js";
import { type LlamaShape, type ParameterShape, llamaTensors } from "../../graph/llama.js";
import type { TrainRequest } from "../../train/settings.js";
import { ADAPTER_TARGETS, type AdapterTarget } from "./targets.js";

/** The part of a request that is about the adapter. */
export interface AdapterRequest {
  /** Rank of the matrices that are learned; 8 by default. */
  rank?: number | undefined;
  /** The adapter's products are multiplied by α / rank; α is twice the rank by default. */
  alpha?: number | undefined;
  /** Kinds of matrices that are adapted; by default all. */
  targets?: readonly AdapterTarget[] | undefined;
  /** Layers that are adapted, counted from the last; by default all. Fewer take less time, as gradients end there. */
  lastLayers?: number | undefined;
}

/** What `adapt` is asked for: as training, but there is a model to start from, and an adapter to write. */
export interface AdaptRequest extends Omit<TrainRequest, "vocabulary" | "shape" | "model">, AdapterRequest {
  /** GGUF file to adapt, quantized or not. */
  model: string;
  /** `lora`, the default, learns an adapter beside the frozen model; `full` trains the model itself, as `train` does. */
  method?: "lora" | "full" | undefined;
  /** GGUF file to write the model with the adapter merged into it to, besides. */
  merge?: string | undefined;
}

/** An adapter's settings with defaults filled in. */
export interface AdapterSettings {
  rank: number;
  alpha: number;
  targets: AdapterTarget[];
  /** The first layer that is adapted. */
  firstLayer: number;
}

/**
 * Refuses what can't be meant, before anything is read.
 *
 * @throws {UsageError} naming the setting
 */
export function checkAdapterRequest(request: Pick<AdaptRequest, "method" | "merge"> & AdapterRequest): void {
  const { method = "lora", rank, alpha, targets, lastLayers, merge } = request;
  for (const [name, count] of Object.entries({ rank, lastLayers })) {
    if (count !== undefined && !(Number.isInteger(count) && count >= 1))
      throw new UsageError(`${name} is ${count}, a whole number above 0 is wanted`);
  }
  if (alpha !== undefined && !(alpha > 0)) throw new UsageError(`alpha is ${alpha}, a number above 0 is wanted`);
  const unknown = targets?.find((target) => !ADAPTER_TARGETS.includes(target));
  if (unknown !== undefined || targets?.length === 0) {
    const what = unknown === undefined ? "No targets are given" : `"${unknown}" is no matrix that can be adapted`;
    throw new UsageError(what, { hint: `Choose of ${ADAPTER_TARGETS.join(", ")}` });
  }
  const isGiven = Object.values({ rank, alpha, targets, lastLayers, merge }).some((value) => value !== undefined);
  if (method === "full" && isGiven)
    throw new UsageError("Full fine-tuning writes a model and no adapter", {
      hint: "Leave out rank, alpha, targets, layers and merging, or the full method",
    });
}

/** @throws {UsageError} when the model has fewer layers */
export function resolveAdapter(request: AdapterRequest, { layers }: Pick<LlamaShape, "layers">): AdapterSettings {
  const { rank = 8, lastLayers = layers, targets = ADAPTER_TARGETS } = request;
  if (lastLayers > layers)
    throw new UsageError(`The model has ${layers} layers, the last ${lastLayers} can't be adapted`);
  return { rank, alpha: request.alpha ?? 2 * rank, targets: [...targets], firstLayer: layers - lastLayers };
}

/** The matrices that are adapted, in the order of a file. @throws {UsageError} when the rank is no less than their sides */
export function adaptedMatrices(shape: LlamaShape, { targets, firstLayer, rank }: AdapterSettings): ParameterShape[] {
  const matrices = llamaTensors(shape).filter(({ name }) => {
    const [, layer, kind] = /^blk\.(\d+)\.(\w+)\.weight$/.exec(name) ?? [];
    return Number(layer) >= firstLayer && targets.includes(kind as AdapterTarget);
  });
  const narrow = matrices.find((matrix) => Math.min(...matrix.shape) <= rank);
  if (narrow)
    throw new UsageError(`A rank of ${rank} saves nothing on "${narrow.name}", which is ${narrow.shape.join(" × ")}`);
  return matrices;
}
