/**
 * A signal that aborts with another, or when so much time is over, as a `TimeoutError`. The timer holds what it aborts: Node 20 collects
 * an `AbortSignal.timeout` that only `AbortSignal.any` knows of, and it never fires.
 *
 * @param milliseconds until then; a program ends earlier if nothing else keeps it
 */
export function within(milliseconds: number, signal?: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const over = (): void => controller.abort(new DOMException("The operation timed out", "TimeoutError"));
  setTimeout(over, milliseconds).unref();
  return signal === undefined ? controller.signal : AbortSignal.any([signal, controller.signal]);
}
