// Adapting a model to a text: an adapter is learned beside the frozen model, or the model itself. The engine runs in a child
// process (`adapt.job.ts`); what comes back are losses.
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";

import { PareError, UsageError } from "../../errors.js";
import { isolate } from "../../native/isolate.js";
import { refuseReplacing } from "../../support/files.js";
import { FolderLock } from "../../support/folder-lock.js";
import type { Metrics } from "../../train/metrics.js";
import { METRICS_NAME } from "../../train/run.js";
import { checkTrainRequest } from "../../train/settings.js";
import { type TrainOptions, type TrainResult, requireOutput, resultOf, train } from "../../train/train.js";
import type { AdaptJobInput, AdaptJobOutput } from "./adapt.job.js";
import { type AdaptRequest, type AdapterSettings, checkAdapterRequest } from "./adapt-settings.js";
import type { MergedFile } from "./write-merged.js";

/** How a run ended. `parameters` are those that were trained. */
export interface AdaptResult extends TrainResult {
  method: "lora" | "full";
  /** Null where the model itself was trained. */
  adapter: (AdapterSettings & { matrices: number }) | null;
  /** The model with the adapter merged into it; null where none was asked for. */
  merged: MergedFile | null;
}

/** Of an adapter's matrices; the model's own would fall apart at it. */
const RATE = 5e-4;

/**
 * Adapts a model: learns low-rank matrices beside its own, which stay as they are, quantized or not (LoRA, arXiv:2106.09685;
 * on a quantized model as QLoRA, arXiv:2305.14314), and writes them as an adapter that llama.cpp loads beside the model. With
 * `method: "full"` it trains the model itself and writes that.
 *
 * A run that was stopped goes on from its last checkpoint when it is asked for again with the same request, to the same
 * bits.
 *
 * @throws {UsageError} when the request can't be meant
 * @throws {FormatError} when the model is of a family that has no training graph, or a file can't be read
 * @throws {PareError} when the text is shorter than a sequence, or loss or gradients are no longer finite
 * @throws {ResourceError} when memory can't hold a step, with the settings that would fit
 * @example
 * await adapt({ model: "model-q4_0.gguf", texts: ["chats.jsonl"], output: "adapter.gguf", merge: "adapted.gguf" });
 */
export async function adapt(request: AdaptRequest, options: TrainOptions = {}): Promise<AdaptResult> {
  checkAdapterRequest(request);
  checkTrainRequest(request);
  const { method = "lora", rank: _r, alpha: _a, targets: _t, lastLayers: _l, merge: _m, ...plain } = request;
  if (method === "full") return { method, adapter: null, merged: null, ...(await train(plain, options)) };
  const run = request.run ?? `${request.output}.run`;
  await requireOutput(request);
  await requireMergeOutput(request);
  await using _lock = await FolderLock.acquire(join(run, "lock"), run);
  const { onMetrics, backend, ...runOptions } = options;
  const {
    adapter,
    merged = null,
    ...done
  } = await isolate<AdaptJobInput, AdaptJobOutput>(
    "passes/adapt/adapt.job",
    { ...request, rate: request.rate ?? RATE, weightDecay: request.weightDecay ?? 0, run },
    {
      ...runOptions,
      what: "adapting",
      ...(backend && { backend }),
      onEvent: (event) => onMetrics?.(event as Metrics),
    },
  );
  return { method, adapter, merged, ...resultOf(done, request.output, join(run, METRICS_NAME)) };
}

/** Tells before the long run that the merged model could not be written. */
async function requireMergeOutput({ merge, output, model, texts, validation = [] }: AdaptRequest): Promise<void> {
  if (merge === undefined) return;
  if (resolve(merge) === resolve(output))
    throw new UsageError(`Adapter and merged model can't both be "${output}"`, { hint: "Give them different names" });
  await refuseReplacing(merge, [model, ...texts, ...validation]);
  if ((await stat(merge).catch(() => undefined))?.isDirectory())
    throw new PareError(`Cannot write "${merge}": a folder stands there`, { hint: "Choose another output path" });
}
