// How often and how many at once, per client. A bucket of one minute's requests fills steadily.
import { performance } from "node:perf_hooks";

import { RequestError } from "../failure.js";
import type { Client } from "./api-keys.js";

interface Use {
  /** Requests that may still come at once. */
  left: number;
  refilledAt: number;
  running: number;
}

/** Counts what clients use. */
export class Limits {
  readonly #uses = new Map<string, Use>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * Takes note of a request.
   *
   * @returns what to call when it has ended
   * @throws {RequestError} 429 when the client has had its share
   */
  enter(client: Client): () => void {
    const use = this.#useOf(client);
    if (use.running >= client.parallel) throw tooMany(`${client.parallel} requests at once`, 1);
    if (use.left < 1) {
      const seconds = ((1 - use.left) * 60) / client.requestsPerMinute;
      throw tooMany(`${client.requestsPerMinute} requests a minute`, Math.ceil(seconds));
    }
    use.left--;
    use.running++;
    let hasLeft = false;
    return () => {
      if (!hasLeft) use.running--;
      hasLeft = true;
    };
  }

  #useOf({ name, requestsPerMinute }: Client): Use {
    const now = this.#now();
    const use = this.#uses.get(name) ?? { left: requestsPerMinute, refilledAt: now, running: 0 };
    this.#uses.set(name, use);
    const gained = ((now - use.refilledAt) / 60_000) * requestsPerMinute;
    if (requestsPerMinute < Infinity) use.left = Math.min(requestsPerMinute, use.left + gained);
    use.refilledAt = now;
    return use;
  }
}

function tooMany(limit: string, retryAfterSeconds: number): RequestError {
  return new RequestError(429, `This key allows ${limit}`, {
    code: "rate_limit_exceeded",
    retryAfterSeconds,
  });
}
