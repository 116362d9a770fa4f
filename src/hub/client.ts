// Requests to the hub: with the token, patient where the hub asks for patience, and with errors that say what to do.
import { PareError, isAbortError, messageOf } from "../errors.js";
import { setTimeout as sleep } from "node:timers/promises";
import type { HubSettings } from "./settings.js";

const ATTEMPTS_MAX = 5;
/** Longer than this nobody waits without being asked. */
const WAIT_MAX_SECONDS = 60;

/** An answer that is no success. */
export class HubError extends PareError {
  constructor(
    readonly status: number,
    message: string,
    options: { hint?: string | undefined },
  ) {
    super(message, { hint: options.hint as string });
  }
}

/** The hub could not be reached at all. */
export class NetworkError extends PareError {}

type Wait = (ms: number, signal?: AbortSignal) => Promise<unknown>;

export class HubClient {
  constructor(
    readonly settings: HubSettings,
    private readonly wait: Wait = (ms, signal) => sleep(ms, undefined, { signal }),
  ) {}

  /**
   * Asks for a path or an address below the endpoint.
   *
   * @param what is asked for, for messages: `"org/name"`
   * @returns a successful response, its body unread
   * @throws {HubError} when the hub refuses
   * @throws {NetworkError} when it can't be reached
   */
  async get(path: string, what: string, options: { signal?: AbortSignal; headers?: Record<string, string> } = {}) {
    for (let attempt = 1; ; attempt++) {
      const response = await this.#fetch(path, what, options);
      if (response.ok) return response;
      const pauseSeconds =
        response.status === 429 || response.status >= 500 ? retryAfter(response, attempt) : undefined;
      if (pauseSeconds === undefined || pauseSeconds > WAIT_MAX_SECONDS || attempt === ATTEMPTS_MAX) {
        throw await refusal(what, response, this.settings, pauseSeconds);
      }
      await response.body?.cancel();
      await this.pause(pauseSeconds, options.signal);
    }
  }

  async pause(seconds: number, signal?: AbortSignal): Promise<void> {
    await this.wait(seconds * 1000, signal);
  }

  async #fetch(path: string, what: string, options: { signal?: AbortSignal; headers?: Record<string, string> }) {
    const { endpoint, token } = this.settings;
    const url = new URL(path, `${endpoint}/`);
    // An address that the hub names itself, such as that of the next page, gets the token only if it is the hub's.
    const isHub = url.origin === new URL(endpoint).origin;
    const headers = { "accept-encoding": "identity", ...options.headers, ...(token && isHub && bearer(token)) };
    try {
      return await fetch(url, { headers, ...(options.signal && { signal: options.signal }) });
    } catch (cause) {
      if (options.signal?.aborted || isAbortError(cause)) throw cause;
      throw networkFailure(what, endpoint, cause);
    }
  }
}

/** The error for a connection that was not made or broke. */
export function networkFailure(what: string, endpoint: string, cause: unknown): NetworkError {
  const deeper = cause instanceof Error && cause.cause ? cause.cause : cause; // fetch hides the reason in `cause`
  return new NetworkError(`Cannot get ${what}: ${messageOf(deeper) || "the connection failed"}`, {
    hint: `Check the network and the address ${endpoint} (HF_ENDPOINT)`,
    cause,
  });
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

/** Seconds that the hub asks for, else twice as many at each attempt. */
function retryAfter(response: Response, attempt: number): number {
  const text = response.headers.get("retry-after");
  if (text === null) return 2 ** (attempt - 1);
  const seconds = Number(text);
  return Number.isFinite(seconds) ? seconds : Math.max(0, (Date.parse(text) - Date.now()) / 1000);
}

/** The hub says what is wrong in headers, and in words in its body. */
async function refusal(
  what: string,
  response: Response,
  { token }: HubSettings,
  pauseSeconds: number | undefined,
): Promise<HubError> {
  const code = response.headers.get("x-error-code") ?? "";
  await response.body?.cancel();
  const { status } = response;
  const [reason, hint] = explained(status, code, token !== undefined, pauseSeconds);
  return new HubError(status, `Cannot get ${what}: ${reason} (${status})`, { hint });
}

function explained(status: number, code: string, hasToken: boolean, pauseSeconds = 0): [reason: string, hint?: string] {
  if (code === "GatedRepo") {
    return [
      "its owner wants its terms accepted",
      "Accept them on its page, and set HF_TOKEN to a token of that account",
    ];
  }
  if (status === 401 || status === 403) {
    const hint = hasToken ? "Check that the token may read it" : "Check the name; if it is private, set HF_TOKEN";
    return [hasToken ? "the token is not enough" : "there is no such model, or it is private", hint];
  }
  if (code === "RevisionNotFound") return ["it has no such revision", "Check the branch, tag or commit"];
  if (code === "EntryNotFound") return ["it has no such file", "Check the file's name"];
  if (status === 404) return ["there is no such model, revision or file", "Check the name"];
  if (status === 429) {
    return ["the hub has had too many requests", `Try again in ${Math.ceil(pauseSeconds)} s, or set HF_TOKEN`];
  }
  return ["the hub failed", "Try again later"];
}
