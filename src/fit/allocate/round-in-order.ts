// Rounds a model's tensors to chosen types from the first layer to the last. Layers are taken in groups; once something was
// rounded, targets follow the inputs that the rounded layers before really produce, measured with both models side by side.
import { type InputStatistics, PairedStatistics, fastestPrecision } from "../../calibrate/paired-statistics.js";
import type { DistinctInput } from "../../calibrate/distinct-inputs.js";
import { cutIntoGroups, sumsBudget } from "../../calibrate/statistics-memory.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { LlamaModel } from "../../native/llama-model.js";
import type { Effort } from "../../passes/quantize/round/problem.js";
import type { RoundingPool } from "../../passes/quantize/round/rounding-pool.js";
import type { OnProgress } from "../../support/progress.js";
import { roundTensor } from "./round-tensor.js";
import type { RoundedTensors } from "./rounded-tensors.js";
import { forgetReleased, plainInput, releaseInputs, roundingInputs } from "./rounding-input.js";
import type { WeightLab } from "./weight-lab.js";

export interface RoundInOrderRequest {
  /** Holds the candidate: each rounded tensor takes its place in it. */
  lab: WeightLab;
  /** The original beside it; absent: no drift is looked at. */
  original?: LlamaModel | undefined;
  pool: RoundingPool;
  windows: readonly Int32Array[];
  contextLength: number;
  threads: number;
  /** The types of the tensors to round. */
  types: ReadonlyMap<string, GgmlType>;
  /** Most groups that layers are taken in. */
  groups: number;
  /** How far targets follow the drift, 0 to 1. */
  driftShare: number;
  effort: Effort;
  /** Where the bytes of each tensor go; they stand in the lab's model, too. */
  rounded: RoundedTensors;
  sumsBytes: number;
  /** Is shown what each input's sums are made of. */
  onInput?: (input: InputStatistics) => void;
  onProgress: OnProgress;
  breathe: () => Promise<void>;
}

export async function roundInOrder(request: RoundInOrderRequest): Promise<void> {
  const { lab, original, pool, types, effort, contextLength, rounded } = request;
  const take = async (name: string, inputs: Parameters<typeof roundTensor>[1]["inputs"]): Promise<void> => {
    const type = types.get(name)!;
    const tensor = { name, shape: lab.source.tensor(name).shape, values: lab.originalValues(name), inputs };
    request.onProgress({ stage: "rounding", done: rounded.size, total: types.size, unit: "tensors", detail: name });
    await rounded.set(name, (await roundTensor(pool, tensor, type, effort)).bytes);
    await request.breathe();
  };
  const [alone, paired] = statisticsOf(request);
  const inputs = (await alone.inputs()).filter(({ weights }) => weights.some((name) => types.has(name)));
  const multiplied = new Set(inputs.flatMap(({ weights }) => weights));
  for (const name of types.keys()) {
    if (multiplied.has(name)) continue;
    await take(name, [plainInput(lab.source.tensor(name).shape[0]!)]);
    lab.substituteBytes(name, types.get(name)!, rounded.get(name)!);
  }
  const shape = { isPaired: original !== undefined, contextLength };
  for (const group of cut(inputs, request.groups, shape, sumsBudget(inputs, shape, request.sumsBytes))) {
    // Before anything was rounded, both models are one.
    const statistics = rounded.size > 0 ? paired : alone;
    await pool.rest(); // while both models run
    using found = await statistics.collect(
      request.windows,
      group.flatMap(({ weights }) => weights),
      { onProgress: request.onProgress },
    );
    for (const input of found.inputs) {
      request.onInput?.(input);
      const rounding = roundingInputs(input, request.driftShare);
      for (const name of input.weights.filter((weight) => types.has(weight))) await take(name, rounding);
      releaseInputs(rounding);
    }
    for (const name of group.flatMap(({ weights }) => weights)) {
      if (rounded.has(name)) lab.substituteBytes(name, types.get(name)!, rounded.get(name)!);
    }
  }
  forgetReleased();
}

/** Of the candidate alone, and of both models where there is an original beside it. */
function statisticsOf({ lab, original, threads, contextLength }: RoundInOrderRequest) {
  const shared = { threads, contextLength, ...(original && { precision: fastestPrecision(lab.engine) }) };
  const alone = new PairedStatistics({ ...shared, original: lab.model });
  const paired = original ? new PairedStatistics({ ...shared, original, candidate: lab.model }) : alone;
  return [alone, paired] as const;
}

/** Groups that fit the memory, and about as many as wanted. */
function cut(
  inputs: readonly DistinctInput[],
  groups: number,
  shape: { isPaired: boolean; contextLength: number },
  bytesMax: number,
): DistinctInput[][] {
  const layers = [...new Set(inputs.map(({ layer }) => layer))];
  const perGroup = Math.ceil(layers.length / Math.max(1, groups));
  const parts: DistinctInput[][] = [];
  for (let first = 0; first < layers.length; first += perGroup) {
    const chosen = new Set(layers.slice(first, first + perGroup));
    parts.push(inputs.filter(({ layer }) => chosen.has(layer)));
  }
  return parts.flatMap((part) => cutIntoGroups(part, bytesMax, shape));
}
