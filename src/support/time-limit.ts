// Signals that abort when a time is over. The timer holds what it aborts: Node 20 collects an `AbortSignal.timeout` that only
// `AbortSignal.any` knows of, and it never fires.

/** A time that runs, and what ends it. */
export interface TimeLimit {
  /** Aborts as a `TimeoutError`. */
  signal: AbortSignal;
  /** To be called where the limit may outlast what it limits by much. */
  clear: () => void;
}

/** @param milliseconds until the signal aborts; a program ends earlier if nothing else keeps it */
export function timeLimit(milliseconds: number): TimeLimit {
  const controller = new AbortController();
  const over = (): void => controller.abort(new DOMException("The time is over", "TimeoutError"));
  const timer = setTimeout(over, milliseconds).unref();
  return { signal: controller.signal, clear: () => clearTimeout(timer) };
}

/** A signal that aborts with another, or when so many milliseconds are over. */
export function withTimeLimit(milliseconds: number, signal?: AbortSignal): AbortSignal {
  const limit = timeLimit(milliseconds).signal;
  return signal === undefined ? limit : AbortSignal.any([signal, limit]);
}
