// Rounds a model's tensors by finished statistics. Nothing runs through a model: what the rounded layers before do to an
// input is not looked at, and every tensor is rounded as if it were alone.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { GgmlLibrary } from "../../native/engine.js";
import type { Effort } from "../../passes/quantize/round/problem.js";
import type { RoundingPool } from "../../passes/quantize/round/rounding-pool.js";
import type { OnProgress } from "../../support/progress.js";
import { type FinishedInputs, tensorInputs } from "./finished-inputs.js";
import type { WatchedInput } from "./rank-watch.js";
import { roundTensor } from "./round-tensor.js";
import type { RoundedTensors } from "./rounded-tensors.js";
import type { SourceWeights } from "./source-weights.js";

export interface RoundByFileRequest {
  finished: FinishedInputs;
  source: SourceWeights;
  ggml: GgmlLibrary;
  pool: RoundingPool;
  /** The types of the tensors to round. */
  types: ReadonlyMap<string, GgmlType>;
  effort: Effort;
  /** Where the bytes of each tensor go. */
  rounded: RoundedTensors;
  /** Is shown what each input's statistics are made of, once. */
  onInput?: (input: WatchedInput) => void;
  onProgress: OnProgress;
  breathe: () => Promise<void>;
}

export async function roundByFile(request: RoundByFileRequest): Promise<void> {
  const { finished, source, ggml, pool, types, effort, rounded } = request;
  let seen: string | undefined;
  for await (const { name, inputs, watched } of tensorInputs(
    finished,
    types.keys(),
    (one) => source.tensor(one).shape[0]!,
  )) {
    if (watched && watched.name !== seen) request.onInput?.(watched);
    seen = watched?.name;
    request.onProgress({ stage: "rounding", done: rounded.size, total: types.size, unit: "tensors", detail: name });
    const tensor = { name, shape: source.tensor(name).shape, values: source.floats(ggml, name), inputs };
    await rounded.set(name, (await roundTensor(pool, tensor, types.get(name)!, effort)).bytes);
    await request.breathe();
  }
}
