// A response that grows. The first piece is waited for, so that a request that can't be served is answered with its status.
import type { Scope } from "./answer.js";
import type { ServeContext } from "./context.js";

/** Turns pieces of text into a response; what fails on the way is told by `onError` as a last piece. */
export async function streamResponse(
  c: ServeContext,
  { record, signal }: Scope,
  pieces: AsyncGenerator<string>,
  { contentType, onError }: { contentType: string; onError: (error: unknown) => string },
): Promise<Response> {
  let finish: () => void = () => undefined;
  const first = await pieces.next();
  record.streaming = new Promise((resolve) => (finish = resolve));
  const encoder = new TextEncoder();
  let next: Promise<IteratorResult<string>> | IteratorResult<string> = first;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { value, done } = await next;
        if (done) {
          controller.close();
          return finish();
        }
        next = pieces.next();
        next.catch(() => undefined); // heard of in the next pull
        controller.enqueue(encoder.encode(value));
      } catch (error) {
        record.error = error;
        if (!signal.aborted || error !== signal.reason || isTimeout(error))
          controller.enqueue(encoder.encode(onError(error)));
        controller.close();
        finish();
      }
    },
    async cancel() {
      finish();
      await pieces.return(undefined);
    },
  });
  signal.addEventListener("abort", finish, { once: true }); // a reader that has gone pulls no more
  return c.body(body, 200, { "content-type": contentType, "cache-control": "no-store", "x-accel-buffering": "no" });
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === "TimeoutError";
}

/** Runs generators side by side and passes on their pieces as they come; when one fails, `abort` is to end the others. */
export async function* interleave<T>(
  generators: readonly AsyncGenerator<T>[],
  abort: (reason: unknown) => void,
): AsyncGenerator<T> {
  const pending = new Map(generators.map((generator) => [generator, advance(generator)]));
  try {
    while (pending.size > 0) {
      const { generator, result } = await Promise.race(pending.values());
      if (result.done) pending.delete(generator);
      else {
        pending.set(generator, advance(generator));
        yield result.value;
      }
    }
  } catch (error) {
    abort(error);
    throw error;
  } finally {
    await Promise.allSettled([...pending.keys()].map((generator) => generator.return(undefined)));
  }
}

/** A failure is heard of when the next piece is asked for, however late: a reader that reads no more asks for none. */
function advance<T>(
  generator: AsyncGenerator<T>,
): Promise<{ generator: AsyncGenerator<T>; result: IteratorResult<T> }> {
  const advanced = generator.next().then((result) => ({ generator, result }));
  advanced.catch(() => undefined);
  return advanced;
}
