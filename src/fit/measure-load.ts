// What clients of a server wait for: some ask at once, each again as soon as all are answered; how long to the first token, how long
// from token to token. In a child process, because a bad file can end it.
import type { Load } from "../cost/cost.js";
import { isolate } from "../native/isolate.js";
import type { Backend } from "../native/platform.js";
import type { RunOptions } from "../support/progress.js";

export interface LoadRequest {
  /** Path of a GGUF file. */
  model: string;
  /** Answers at once, each number measured after the other. */
  concurrencies: number[];
  promptTokens: number;
  answerTokens: number;
  threads?: number | undefined;
  /** No new round starts after so many seconds of one concurrency; 10 by default. */
  secondsMax?: number;
  seed?: number;
  backend?: Backend;
}

/**
 * Measures latencies under concurrency.
 *
 * @returns one entry for each concurrency
 * @throws {EngineError} when the engine refuses the file or stops; {FormatError} when there is no such file
 */
export function measureLoad(request: LoadRequest, options: RunOptions = {}): Promise<Load[]> {
  const { backend, ...input } = request;
  return isolate<Omit<LoadRequest, "backend">, Load[]>("fit/load.job", input, {
    ...options,
    what: `measuring the latency of "${request.model}"`,
    backend,
  });
}
