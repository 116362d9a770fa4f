// A server for tests, with a model that comes with Pare: small, and with a chat template.
import { fileURLToPath } from "node:url";

import { type PareServer, serve, type ServeOptions } from "../src/serve/serve.js";

/** It reads home commands. */
export const BUNDLED = fileURLToPath(new URL("../models/home-commands-f16.gguf", import.meta.url));

/** Starts a server on a free port; engines have one thread, as tests share the machine. */
export function startServer(options: Partial<ServeOptions> = {}): Promise<PareServer> {
  return serve({ models: `home=${BUNDLED}`, port: 0, threads: 1, ...options });
}

/** Sends JSON. */
export function post(server: PareServer, path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
  return fetch(server.url + path, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
    headers: { "content-type": "application/json", ...(init.headers as Record<string, string> | undefined) },
  });
}

/** Requests for which a model has no lane. */
export async function waitingOn(server: PareServer, model: string): Promise<number> {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  return Number(new RegExp(`pare_waiting_requests\\{model="${model}"\\} (\\d+)`).exec(metrics)![1]);
}
