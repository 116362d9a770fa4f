// Who may ask, and how much. Keys are kept as hashes, so neither a dump of the process nor the time of a comparison tells them.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";

import { FormatError, UsageError } from "../../errors.js";
import { RequestError } from "../failure.js";

/** Who a key belongs to. */
export interface Client {
  name: string;
  /** Requests in a minute at most. */
  requestsPerMinute: number;
  /** Requests at once at most. */
  parallel: number;
}

const NOBODY: Client = { name: "anonymous", requestsPerMinute: Infinity, parallel: Infinity };
const KEY_LENGTH_MIN = 8;

/** Keys and their clients; with no key at all, everybody may ask. */
export class ApiKeys {
  readonly #clients = new Map<string, Client>();

  get areNeeded(): boolean {
    return this.#clients.size > 0;
  }

  add(key: string, client: Client): void {
    this.#clients.set(hashOf(key), client);
  }

  /** @throws {RequestError} 401 when a key is needed and there is none, or a wrong one */
  clientOf(authorization: string | undefined): Client {
    if (!this.areNeeded) return NOBODY;
    const key = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    const client = key === undefined ? undefined : this.#clients.get(hashOf(key));
    if (client) return client;
    const message =
      key === undefined
        ? "This server wants an API key, as the header Authorization: Bearer KEY"
        : "The API key is wrong";
    throw new RequestError(401, message, { code: "invalid_api_key" });
  }
}

/**
 * Reads a file of keys: one a line, after the client's name and before its limits, if it has any:
 *
 *     alice sk-8d1f… rpm=60 parallel=4
 *
 * @throws {FormatError} when a line is none of that
 */
export async function readApiKeys(path: string, keys: ApiKeys): Promise<void> {
  const lines = (await readFile(path, "utf8")).split(/\r?\n/);
  for (const [i, line] of lines.entries()) {
    const words = line
      .replace(/(^|\s)#.*/, "")
      .trim()
      .split(/\s+/)
      .filter(Boolean);
    if (words.length === 0) continue;
    const refuse = (what: string): never => {
      throw new FormatError(path, `Cannot read "${path}": line ${i + 1} ${what}`, {
        hint: "Write NAME KEY rpm=60 parallel=4",
      });
    };
    const [name = "", key = "", ...limits] = words;
    if (key.length < KEY_LENGTH_MIN) refuse(`has no key of ${KEY_LENGTH_MIN} characters or more behind the name`);
    const client: Client = { ...NOBODY, name };
    for (const limit of limits) {
      const [, what, count] =
        /^(rpm|parallel)=([1-9]\d{0,8})$/.exec(limit) ?? refuse(`has "${limit}", which is no limit`);
      if (what === "rpm") client.requestsPerMinute = Number(count);
      else client.parallel = Number(count);
    }
    keys.add(key, client);
  }
  if (!keys.areNeeded) throw new FormatError(path, `Cannot read "${path}": there is no key in it`);
}

/** Adds the keys of `PARE_API_KEY`, separated by commas; blank, as compose files leave it, there are none. */
export function addKeysOfEnvironment(keys: ApiKeys, value = process.env["PARE_API_KEY"]): void {
  if (value === undefined || value.trim() === "") return;
  const listed = value.split(",").map((key) => key.trim());
  if (listed.some((key) => key.length < KEY_LENGTH_MIN)) {
    throw new UsageError(`PARE_API_KEY has a key shorter than ${KEY_LENGTH_MIN} characters`);
  }
  listed.forEach((key, i) => keys.add(key, { ...NOBODY, name: `key-${i + 1}` }));
}

function hashOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}
