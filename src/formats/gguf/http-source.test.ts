import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { expect, test } from "vitest";

import { rawGguf, tensor } from "../../../test/raw-gguf.js";
import { openSource } from "./bytes.js";
import { HttpSource } from "./http-source.js";
import { readGguf } from "./read.js";

const file = new Uint8Array(300_000).map((_, i) => i % 251);

type Answer = (request: IncomingMessage, response: ServerResponse, range: { first: number; last: number }) => void;

/** A server on this machine for one test. */
async function serve(answer: Answer): Promise<AsyncDisposable & { url: string; requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    const range = request.headers.range ?? "";
    requests.push(range);
    const [first = 0, last = 0] = range.replace("bytes=", "").split("-").map(Number);
    answer(request, response, { first, last });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.gguf`;
  return {
    url,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function sendRange(
  response: ServerResponse,
  bytes: Uint8Array,
  range: { first: number; last: number },
  tag = '"1"',
): void {
  const last = Math.min(range.last, bytes.byteLength - 1);
  response.writeHead(206, { "content-range": `bytes ${range.first}-${last}/${bytes.byteLength}`, etag: tag });
  response.end(bytes.subarray(range.first, last + 1));
}

test("HttpSource reads ranges, and the first bytes only once", async () => {
  await using server = await serve((_request, response, range) => sendRange(response, file, range));
  const source = await openSource(server.url);
  expect(source).toBeInstanceOf(HttpSource);
  expect(source.sizeBytes).toBe(300_000);
  expect(await source.read(10, 100)).toEqual(file.subarray(10, 110));
  expect(await source.read(65_530, 20)).toEqual(file.subarray(65_530, 65_550));
  expect(await source.read(299_999, 1)).toEqual(file.subarray(299_999));
  expect(server.requests).toEqual(["bytes=0-65535", "bytes=65536-65549", "bytes=299999-299999"]);
  await expect(source.read(299_999, 2)).rejects.toThrow("it ends at byte 300000");
});

test("readGguf() reads a header over HTTP without its tensors", async () => {
  const model = rawGguf({ tensors: [tensor("a", { dimensions: [50_000] })], data: new Uint8Array(200_000).fill(7) });
  await using server = await serve((_request, response, range) => sendRange(response, model, range));
  const gguf = await readGguf(server.url);
  expect(server.requests).toHaveLength(1);
  expect((await gguf.readTensor("a", 199_999, 1))[0]).toBe(7);
  await gguf.close();
});

const plain = (status: number, body = "") =>
  ((_request, response) => response.writeHead(status).end(body)) satisfies Answer;

test.each<[what: string, answer: Answer, message: string]>([
  ["a missing file", plain(404), "the server answered 404 Not Found"],
  ["a closed one", plain(403), "the server answered 403 Forbidden"],
  ["an empty one", plain(416), "it is empty"],
  ["a server that ignores ranges", plain(200, "all of it"), "the server ignores range requests"],
  [
    "a range without size",
    (_q, response) => response.writeHead(206, { "content-range": "bytes 0-1/*" }).end("ab"),
    'Content-Range "bytes 0-1/*" tells no range and size',
  ],
  [
    "another range",
    (_q, response) => response.writeHead(206, { "content-range": "bytes 5-6/9" }).end("ab"),
    "the server sent bytes from 5, bytes from 0 are wanted",
  ],
  [
    "too few bytes",
    (_q, response) => response.writeHead(206, { "content-range": "bytes 0-9/10" }).end("ab"),
    "the server sent 2 of 10 bytes",
  ],
  [
    "too many bytes",
    (_q, response) => response.writeHead(206, { "content-range": "bytes 0-1/10" }).end("abcd"),
    "the server sent more than 2 bytes",
  ],
  [
    "a cut connection",
    (_q, response) => {
      response.writeHead(206, { "content-range": "bytes 0-9/10", "content-length": "10" });
      response.write("abc", () => response.destroy());
    },
    "the server sent 3 of 10 bytes",
  ],
])("HttpSource refuses %s", async (_what, answer, message) => {
  await using server = await serve(answer);
  await expect(HttpSource.open(server.url)).rejects.toThrow(`Cannot read "${server.url}": `);
  await expect(HttpSource.open(server.url)).rejects.toThrow(message);
});

test("HttpSource notices that the file changed", async () => {
  let tag = '"1"';
  await using server = await serve((_request, response, range) => sendRange(response, file, range, tag));
  const source = await HttpSource.open(server.url);
  tag = '"2"';
  await expect(source.read(100_000, 10)).rejects.toThrow("the file on the server changed while it was read");
});

test("HttpSource says why a server can't be reached", async () => {
  const server = await serve(plain(200));
  await server[Symbol.asyncDispose]();
  await expect(HttpSource.open(server.url)).rejects.toThrow(/^Cannot read "http.*": .*ECONNREFUSED/);
});

test("HttpSource stops when it is told to", async () => {
  await using server = await serve(() => undefined); // never answers
  const controller = new AbortController();
  const opening = HttpSource.open(server.url, { signal: controller.signal });
  controller.abort();
  await expect(opening).rejects.toThrow(/abort/);
});
