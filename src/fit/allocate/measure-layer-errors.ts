// A table of measurements without a text to measure on: the layer error that each type leaves, from finished statistics,
// and in place of a divergence a stand-in that says how much a tensor counts. Good for choosing types, not for a prediction.
import { GGML_TYPES, type GgmlType } from "../../formats/gguf/ggml-types.js";
import { elementCount } from "../../model/model.js";
import type { GgmlLibrary } from "../../native/engine.js";
import type { RoundingPool } from "../../passes/quantize/round/rounding-pool.js";
import type { OnProgress } from "../../support/progress.js";
import { type FinishedInputs, tensorInputs } from "./finished-inputs.js";
import type { Measurements } from "./measurement-schema.js";
import { sampleErrors } from "./round-tensor.js";
import type { SourceWeights } from "./source-weights.js";

export interface LayerErrorRequest {
  finished: FinishedInputs;
  source: SourceWeights;
  ggml: GgmlLibrary;
  pool: RoundingPool;
  /** The types that are open to each tensor. */
  types: ReadonlyMap<string, readonly GgmlType[]>;
  sampleRows: number;
  onProgress: OnProgress;
  breathe: () => Promise<void>;
}

/** Measures the layer errors of all tensors that have a choice. */
export async function measureLayerErrors(request: LayerErrorRequest): Promise<Measurements["tensors"]> {
  const { finished, source, ggml, pool, types } = request;
  const open = [...types].filter(([, list]) => list.length > 1).map(([name]) => name);
  const measured: Measurements["tensors"] = {};
  for await (const { name, inputs } of tensorInputs(finished, open, (one) => source.tensor(one).shape[0]!)) {
    const done = Object.keys(measured).length;
    request.onProgress({ stage: "measuring tensors", done, total: open.length, unit: "tensors", detail: name });
    const { type: own, shape } = source.tensor(name);
    const tensor = { name, shape, values: source.floats(ggml, name), inputs };
    const candidates = types.get(name)!.filter((type) => type !== own && GGML_TYPES[type].quantized);
    const errors = await sampleErrors(pool, tensor, candidates, request.sampleRows, "default");
    measured[name] = { type: own, shape: [...shape], types: weighted(errors, weightOf(shape)) };
    await request.breathe();
  }
  return measured;
}

/**
 * How much a relative layer error of a tensor counts. Chosen by what it leads to (minimind2-small at 4.5 and 3.6 bits per
 * weight): a divergence of 0.0126 and 0.040; 0.0154 and 0.044 where every weight counts the same; 0.027 and 0.075 where every
 * tensor does; 0.030 and 0.064 by tr(W H Wᵀ). Measured divergences, from a text, come to 0.0095 at 4.5.
 */
function weightOf(shape: readonly number[]): number {
  return Math.sqrt(elementCount(shape));
}

function weighted(errors: ReadonlyMap<GgmlType, number>, weight: number): Measurements["tensors"][string]["types"] {
  const entries: Measurements["tensors"][string]["types"] = {};
  for (const [type, layerError] of errors) {
    entries[type] = { layerError, divergence: { mean: weight * layerError, standardError: 0, tokens: 1 } };
  }
  return entries;
}
