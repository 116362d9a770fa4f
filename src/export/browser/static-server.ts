// A static server for one folder, on this machine alone, as plain as the plainest web host: no headers but the type.
import { readFile } from "node:fs/promises";
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

/** A server that answers until it is disposed of. */
export interface StaticServer extends AsyncDisposable {
  /** With a slash at its end. */
  readonly url: string;
}

export interface StaticServerOptions {
  /** Files that the folder does not have, by name. */
  readonly extra?: Readonly<Record<string, string>>;
  /** Handed what is posted. */
  readonly onPost?: (text: string) => void;
  /** Sent with every answer. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly port?: number;
}

export async function serveFolder(folder: string, options: StaticServerOptions = {}): Promise<StaticServer> {
  const { extra = {}, onPost, headers = {} } = options;
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://localhost").pathname);
    const name = path === "/" ? "index.html" : path.slice(1);
    const answer = (status: number, body: string | Uint8Array = "") =>
      response
        .writeHead(status, { ...headers, "content-type": TYPES[extname(name)] ?? "application/octet-stream" })
        .end(body);
    if (request.method === "POST" && onPost) {
      let text = "";
      request.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      request.on("end", () => (answer(204), onPost(text)));
    } else if (Object.hasOwn(extra, name)) answer(200, extra[name]);
    else if (name.split("/").includes("..")) answer(404);
    else
      void readFile(join(folder, name)).then(
        (bytes) => answer(200, bytes),
        () => answer(404),
      );
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, [Symbol.asyncDispose]: () => closed(server) };
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
