// A hub on this machine for one test: the three requests that Pare makes, answered from files in memory.
import { createHash } from "node:crypto";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** The commit that `main` is at. */
export const COMMIT = "0123456789abcdef0123456789abcdef01234567";

export type Answer = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

/** A running hub. */
export interface Hub extends AsyncDisposable {
  endpoint: string;
  /** Paths asked for, with the range behind them. */
  requests: string[];
}

/**
 * Starts a hub with one repository, `org/tiny`.
 *
 * @param answer may answer in its place, or call `next`
 */
export async function startHub(
  files: Record<string, Buffer>,
  answer: Answer = (_request, _response, next) => next(),
): Promise<Hub> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.url} ${request.headers.range ?? ""}`.trim());
    answer(request, response, () => serve(files, request, response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function serve(files: Record<string, Buffer>, request: IncomingMessage, response: ServerResponse): void {
  const path = request.url!;
  if (path === "/api/models/org/tiny/revision/main") return sendJson(response, { sha: COMMIT });
  if (path === `/api/models/org/tiny/tree/${COMMIT}?recursive=true`) return sendJson(response, hubTree(files));
  const [, name] = new RegExp(`^/org/tiny/resolve/${COMMIT}/(.*)$`).exec(path) ?? [];
  const bytes = files[name ?? ""];
  if (bytes) return sendBytes(request, response, bytes);
  response.writeHead(404, { "x-error-code": "RepoNotFound" }).end();
}

export function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
}

/** A file, or the rest of one. */
export function sendBytes(request: IncomingMessage, response: ServerResponse, bytes: Buffer): void {
  const first = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? -1);
  if (first < 0) return void response.writeHead(200, { "content-length": bytes.byteLength }).end(bytes);
  const last = bytes.byteLength - 1;
  response.writeHead(206, { "content-range": `bytes ${first}-${last}/${bytes.byteLength}` }).end(bytes.subarray(first));
}

/** The hub's list of files, weights stored outside git. */
export function hubTree(files: Record<string, Buffer>): unknown[] {
  return Object.entries(files).map(([path, bytes]) => ({
    type: "file",
    path,
    size: bytes.byteLength,
    oid: createHash("sha1").update(`blob ${bytes.byteLength}\0`).update(bytes).digest("hex"),
    ...(path.endsWith(".safetensors") && { lfs: { oid: sha256(bytes), size: bytes.byteLength, pointerSize: 134 } }),
  }));
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
