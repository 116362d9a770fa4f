// A file on a web server, read through range requests (RFC 9110, section 14), so that a header costs some kilobytes.
import { FormatError, PareError, isAbortError, messageOf } from "../../errors.js";
import { withTimeLimit } from "../../support/time-limit.js";
import type { ByteSource } from "./bytes.js";

/** Bytes fetched with the first request, which also tells the file's size: usually a good part of the header. */
const FIRST_BYTES = 65_536;
/** Bytes per request at most, so that a time limit per request is fair. */
const REQUEST_BYTES = 16 * 2 ** 20;
/** A server that has not sent a request's bytes after this long has stalled. */
const TIMEOUT_MS = 120_000;

/** A file behind `http://` or `https://`. */
export class HttpSource implements ByteSource {
  private constructor(
    readonly path: string,
    readonly sizeBytes: number,
    readonly tag: string | null,
    private readonly start: Uint8Array,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /**
   * Asks for the first bytes and learns the size.
   *
   * @throws {PareError} when the server can't be reached, refuses, or ignores ranges
   */
  static async open(url: string, options: { signal?: AbortSignal } = {}): Promise<HttpSource> {
    const response = await request(url, 0, FIRST_BYTES, options.signal);
    if (response.status === 416) throw new FormatError(url, `Cannot read "${url}": it is empty`);
    const { first, last, sizeBytes } = await acceptRange(url, response);
    if (first !== 0) throw refused(url, `the server sent bytes from ${first}, bytes from 0 are wanted`);
    const start = await readBody(url, response, last + 1);
    return new HttpSource(url, sizeBytes, response.headers.get("etag"), start, options.signal);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset + length > this.sizeBytes) {
      const range = `${length} bytes from ${offset} are wanted`;
      throw new FormatError(this.path, `Cannot read "${this.path}": it ends at byte ${this.sizeBytes}, and ${range}`);
    }
    const bytes = new Uint8Array(length);
    let done = 0;
    if (offset < this.start.byteLength) {
      const known = this.start.subarray(offset, offset + length);
      bytes.set(known);
      done = known.byteLength;
    }
    while (done < length) {
      const step = Math.min(length - done, REQUEST_BYTES);
      bytes.set(await this.#fetch(offset + done, step), done);
      done += step;
    }
    return bytes;
  }

  async close(): Promise<void> {}

  async #fetch(offset: number, length: number): Promise<Uint8Array> {
    const response = await request(this.path, offset, length, this.signal);
    const { first, last, sizeBytes } = await acceptRange(this.path, response);
    const isSame = sizeBytes === this.sizeBytes && response.headers.get("etag") === this.tag;
    if (!isSame || first !== offset || last !== offset + length - 1) {
      await response.body?.cancel();
      throw refused(
        this.path,
        isSame
          ? `the server sent bytes ${first}–${last}, bytes ${offset}–${offset + length - 1} are wanted`
          : "the file on the server changed while it was read",
      );
    }
    return readBody(this.path, response, length);
  }
}

async function request(url: string, offset: number, length: number, signal?: AbortSignal): Promise<Response> {
  try {
    return await fetch(url, {
      headers: { range: `bytes=${offset}-${offset + length - 1}`, "accept-encoding": "identity" },
      signal: withTimeLimit(TIMEOUT_MS, signal),
    });
  } catch (cause) {
    throw networkFailure(url, cause, signal);
  }
}

/** The range that the response holds; its body is cancelled when it is not one. */
async function acceptRange(url: string, response: Response) {
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
  if (response.status === 206 && match) {
    return { first: Number(match[1]), last: Number(match[2]), sizeBytes: Number(match[3]) };
  }
  await response.body?.cancel();
  if (!response.ok) throw refused(url, `the server answered ${response.status} ${response.statusText}`.trimEnd());
  throw refused(
    url,
    response.status === 206
      ? `the server's Content-Range "${response.headers.get("content-range") ?? ""}" tells no range and size`
      : "the server ignores range requests",
    "Download the file and give its path",
  );
}

async function readBody(url: string, response: Response, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let done = 0;
  try {
    for await (const chunk of response.body ?? []) {
      if (done + chunk.byteLength > length) throw refused(url, `the server sent more than ${length} bytes`);
      bytes.set(chunk, done);
      done += chunk.byteLength;
    }
  } catch (cause) {
    if (done < length && !(cause instanceof PareError) && !isAbortError(cause)) throw sentTooLittle(url, done, length);
    throw networkFailure(url, cause);
  }
  if (done < length) throw sentTooLittle(url, done, length);
  return bytes;
}

function sentTooLittle(url: string, done: number, length: number): PareError {
  return refused(url, `the server sent ${done} of ${length} bytes`, "Try again");
}

function refused(url: string, reason: string, hint?: string): PareError {
  return new PareError(`Cannot read "${url}": ${reason}`, { hint });
}

function networkFailure(url: string, cause: unknown, signal?: AbortSignal): unknown {
  if (cause instanceof PareError || signal?.aborted) return cause;
  if (isAbortError(cause)) {
    return (cause as Error).name === "TimeoutError"
      ? refused(url, `the server did not answer within ${TIMEOUT_MS / 1000} s`, "Try again")
      : cause;
  }
  const deeper = cause instanceof Error && cause.cause ? cause.cause : cause; // fetch hides the reason in `cause`
  return new PareError(`Cannot read "${url}": ${messageOf(deeper)}`, {
    hint: "Check the address and the network",
    cause,
  });
}
