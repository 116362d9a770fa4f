// Measures how fast a model file runs on this machine, the way llama.cpp's own bench does: random tokens, warm-up, a
// fresh cache for each repeat, medians; prefill first, then decode. In a child process, because a bad file can end it.
import type { MeasuredEnergy } from "../cost/energy.js";
import type { GgmlType } from "../formats/gguf/ggml-types.js";
import { isolate } from "../native/isolate.js";
import type { ContextMemory } from "../native/llama-context.js";
import type { Backend } from "../native/platform.js";
import type { RunOptions } from "../support/progress.js";

export interface SpeedRequest {
  /** Path of a GGUF file. */
  model: string;
  /** Tokens of the prompt that prefill computes in one call; 512 by default, never more than the model's trained length. */
  promptTokens?: number;
  /** Tokens decoded one after another; 64 by default, limited likewise. */
  decodeTokens?: number;
  /** Measurements of each kind after the warm-up; 3 by default. */
  repeats?: number;
  /** One per physical core by default. More than there are free cores is many times slower. */
  threads?: number;
  /** Rearrange weights for speed, as programs that serve models do; on by default. */
  repack?: boolean;
  /** Choose each token greedily instead of at random: adds the search through the logits. Off by default. */
  greedy?: boolean;
  /** No new repeat of prefill starts after half of so many seconds, none of decode after all of them; 30 by default. */
  secondsMax?: number;
  seed?: number;
  /** Read the machine's energy meter, where it has one that this user may read. */
  meterEnergy?: boolean;
  backend?: Backend;
}

export interface SpeedResult {
  /** Medians over the samples. */
  prefillTokensPerSecond: number;
  decodeTokensPerSecond: number;
  prefillSamples: number[];
  decodeSamples: number[];
  /** What was really measured, after the model's limits. */
  promptTokens: number;
  decodeTokens: number;
  threads: number;
  repack: boolean;
  memory: SpeedMemory;
  /** Absent where nothing could be metered. */
  energy?: MeasuredEnergy;
}

/** Memory of the process that measured, and what the engine says it allotted. */
export interface SpeedMemory extends ContextMemory {
  /** With the engine loaded, and no model. */
  emptyBytes: number;
  /** After the measurement. */
  residentBytes: number;
  /** Weights, as the engine counts them. */
  modelBytes: number;
  /** Types whose weights the engine rearranged. */
  rearrangedTypes: GgmlType[];
}

/**
 * Measures prefill and decode speed of a model file.
 *
 * @throws {EngineError} when the engine refuses the file or stops; {FormatError} when there is no such file
 */
export function measureSpeed(request: SpeedRequest, options: RunOptions = {}): Promise<SpeedResult> {
  const { backend, ...input } = request;
  return isolate<Omit<SpeedRequest, "backend">, SpeedResult>("fit/speed.job", input, {
    ...options,
    what: `measuring the speed of "${request.model}"`,
    backend,
  });
}
