import type { Random } from "../src/support/random.js";

/** See `malformed-requests.mjs`. */
export function malformedRequest(random: Random): {
  what: string;
  path: string;
  init: { method: string; headers: Record<string, string>; body?: string | Uint8Array };
};
