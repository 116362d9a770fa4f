import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import { expect, test } from "vitest";

import { temporaryFolder } from "../../test/command.js";
import { type Answer, COMMIT, hubTree, sendBytes, sendJson, startHub } from "../../test/hub-server.js";
import { sha256 } from "../support/files.js";
import type { Progress, RunOptions } from "../support/progress.js";
import { HubClient, HubError, NetworkError } from "./client.js";
import { findOllamaModel } from "./ollama.js";
import { type PullRequest, pullFromHub } from "./pull.js";

const WEIGHTS = Buffer.from(Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7) % 251));
const FILES: Record<string, Buffer> = {
  "config.json": Buffer.from("{}"),
  "model.safetensors": WEIGHTS,
  "README.md": Buffer.from("---\nlicense: mit\n---\n"),
  "pytorch_model.bin": Buffer.from("a pickle"),
  "onnx/model.onnx": Buffer.from("another format"),
  "original/model.safetensors": Buffer.from("the same again"),
};

/** A hub with these files, whose cache is in `folder`. */
async function hub(folder: { path: (name: string) => string }, answer?: Answer) {
  const server = await startHub(FILES, answer);
  const settings = { endpoint: server.endpoint, token: "hf_secret", cache: folder.path("cache"), isOffline: false };
  const waits: number[] = [];
  const wait = async (ms: number) => void waits.push(ms);
  return {
    ...server,
    settings,
    waits,
    pull: (more: Partial<PullRequest> = {}, options: RunOptions = {}) => {
      const client = new HubClient(more.settings ?? settings, wait);
      return pullFromHub(client, { model: "org/tiny", ...more }, options);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(server[Symbol.asyncDispose]()),
  };
}

test("pull() fills Hugging Face's cache with the model and its texts, and with no pickle", async () => {
  using folder = temporaryFolder();
  await using server = await hub(folder);
  const steps: Progress[] = [];
  const result = await server.pull({}, { onProgress: (step) => steps.push(step) });
  const root = folder.path("cache/models--org--tiny");
  expect(result).toMatchObject({ path: join(root, "snapshots", COMMIT), repository: "org/tiny", revision: COMMIT });
  expect(readdirSync(result.path).sort()).toEqual(["README.md", "config.json", "model.safetensors"]);
  expect(readFileSync(join(result.path, "model.safetensors"))).toEqual(WEIGHTS);
  expect(readFileSync(join(root, "refs/main"), "utf8")).toBe(COMMIT);
  expect(existsSync(join(root, "blobs", sha256(WEIGHTS)))).toBe(true);
  expect(result.files.find(({ path }) => path === "model.safetensors")!.sha256).toBe(sha256(WEIGHTS));
  expect(steps.at(-1)).toMatchObject({ stage: "downloading", unit: "bytes", done: steps.at(-1)!.total });
  const again = await server.pull();
  expect(again.bytesDownloaded).toBe(0);
  expect(server.requests.filter((path) => path.includes("/resolve/"))).toHaveLength(3);
});

test("pull() goes on where the connection broke, as often as there is progress", async () => {
  using folder = temporaryFolder();
  let cuts = 0;
  let cut = () => {};
  await using server = await hub(folder, (request, response, next) => {
    if (!request.url!.endsWith("/model.safetensors") || cuts === 5) return next();
    const first = Number(/\d+/.exec(request.headers.range ?? "0")![0]);
    const headers = { "content-range": `bytes ${first}-99999/100000`, "content-length": 100_000 - first };
    response.writeHead(first === 0 ? 200 : 206, headers);
    response.write(WEIGHTS.subarray(first, first + 10_000));
    cut = () => {
      cuts++;
      response.destroy();
      cut = () => {};
    };
  });
  let before = 0;
  const cutAfterProgress = ({ detail, done }: Progress) => {
    if (detail === "model.safetensors" && done > before) cut();
    before = done;
  };
  const result = await server.pull({}, { onProgress: cutAfterProgress });
  expect(readFileSync(join(result.path, "model.safetensors"))).toEqual(WEIGHTS);
  expect(cuts).toBe(5);
  const requests = server.requests.filter((path) => path.includes("model.safetensors"));
  expect(requests.map((path) => path.includes("bytes="))).toEqual([false, true, true, true, true, true]);
});

test("pull() goes on from what an interrupted run has left", async () => {
  using folder = temporaryFolder();
  const controller = new AbortController();
  let isCut = true;
  await using server = await hub(folder, (request, response, next) => {
    if (!request.url!.endsWith("/model.safetensors") || !isCut) return next();
    response.writeHead(200, { "content-length": 100_000 });
    response.write(WEIGHTS.subarray(0, 60_000));
  });
  const stop = ({ detail, done }: Progress) => {
    if (detail === "model.safetensors" && done > 30_000) controller.abort();
  };
  await expect(server.pull({}, { signal: controller.signal, onProgress: stop })).rejects.toThrow(/abort/i);
  const blobs = folder.path("cache/models--org--tiny/blobs");
  expect(readdirSync(blobs)).toContain(`${sha256(WEIGHTS)}.incomplete`);
  isCut = false;
  const result = await server.pull();
  expect(readFileSync(join(result.path, "model.safetensors"))).toEqual(WEIGHTS);
  expect(result.bytesDownloaded).toBeLessThan(100_000);
  expect(server.requests.at(-1)).toMatch(/model\.safetensors bytes=\d+-$|README\.md/);
  expect(readdirSync(blobs).filter((name) => name.endsWith(".incomplete"))).toEqual([]);
});

test("pull() gives up where nothing more comes, and says how far it got", async () => {
  using folder = temporaryFolder();
  await using server = await hub(folder, (request, response, next) => {
    if (!request.url!.endsWith("/model.safetensors")) return next();
    const isFirst = request.headers.range === undefined;
    response.writeHead(isFirst ? 200 : 206, isFirst ? {} : { "content-range": "bytes 50000-99999/100000" });
    response.end(isFirst ? WEIGHTS.subarray(0, 50_000) : "");
  });
  await expect(server.pull()).rejects.toThrow(
    'Cannot get "model.safetensors" of "org/tiny": the server sent 50000 of 100000 bytes',
  );
});

test.each(["model.safetensors", "config.json"])("pull() refuses and removes %s with another hash", async (name) => {
  using folder = temporaryFolder();
  await using server = await hub(folder, (request, response, next) => {
    if (!request.url!.endsWith(`/${name}`)) return next();
    response.end(Buffer.from(FILES[name]!).reverse());
  });
  await expect(server.pull()).rejects.toThrow(new RegExp(`"${name}" of "org/tiny" has .* and the hub says`));
  const blobs = folder.path("cache/models--org--tiny/blobs");
  expect(readdirSync(blobs).filter((blob) => blob.endsWith(".incomplete"))).toEqual([]);
});

test("pull() waits as long as the hub asks for", async () => {
  using folder = temporaryFolder();
  let refusals = 0;
  await using server = await hub(folder, (_request, response, next) => {
    if (++refusals > 2) return next();
    response.writeHead(429, { "retry-after": "7" }).end();
  });
  await server.pull();
  expect(server.waits).toEqual([7000, 7000]);
});

test.each<[status: number, headers: Record<string, string>, message: RegExp, hint: RegExp]>([
  [401, { "x-error-code": "RepoNotFound" }, /the token is not enough \(401\)/, /may read it/],
  [403, { "x-error-code": "GatedRepo" }, /its owner wants its terms accepted \(403\)/, /Accept them on its page/],
  [404, { "x-error-code": "RepoNotFound" }, /there is no such model, revision or file \(404\)/, /Check the name/],
  [404, { "x-error-code": "RevisionNotFound" }, /it has no such revision \(404\)/, /branch, tag or commit/],
  [429, { "retry-after": "900" }, /too many requests \(429\)/, /in 900 s/],
  [500, {}, /the hub failed \(500\)/, /later/],
])("pull() explains %i %j", async (status, headers, message, hint) => {
  using folder = temporaryFolder();
  await using server = await hub(folder, (_request, response) => void response.writeHead(status, headers).end());
  const error = await server.pull().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(HubError);
  expect(error).toMatchObject({ status, message: expect.stringMatching(message), hint: expect.stringMatching(hint) });
});

test("pull() follows a redirect to another server, and leaves the token at home", async () => {
  using folder = temporaryFolder();
  const tokens: (string | undefined)[] = [];
  const storage = createServer((request, response) => {
    tokens.push(request.headers.authorization);
    sendBytes(request, response, WEIGHTS);
  });
  await new Promise<void>((resolve) => storage.listen(0, "127.0.0.1", resolve));
  const address = `http://localhost:${(storage.address() as AddressInfo).port}/blob`;
  await using server = await hub(folder, (request, response, next) => {
    expect(request.headers.authorization).toBe("Bearer hf_secret");
    if (!request.url!.endsWith("/model.safetensors")) return next();
    response.writeHead(302, { location: address }).end();
  });
  const result = await server.pull();
  storage.close();
  expect(readFileSync(join(result.path, "model.safetensors"))).toEqual(WEIGHTS);
  expect(tokens).toEqual([undefined]);
});

test("pull() takes the cache when the hub can't be reached, and says so", async () => {
  using folder = temporaryFolder();
  const server = await hub(folder);
  const { path } = await server.pull();
  await server[Symbol.asyncDispose]();
  const result = await server.pull();
  expect(result).toMatchObject({ path, revision: COMMIT, bytesDownloaded: 0 });
  expect(result.warnings[0]).toMatch(/Cannot get "org\/tiny": .*; the copy in the cache was taken/);
  const offline = await server.pull({ settings: { ...server.settings, isOffline: true } });
  expect(offline.path).toBe(path);
  await expect(server.pull({ model: "org/other" })).rejects.toThrow('"org/other" is not in');
  await expect(server.pull({ model: "org/other", settings: { ...server.settings, isOffline: true } })).rejects.toThrow(
    'HF_HUB_OFFLINE is set, and "org/other" is not in',
  );
  expect(NetworkError.prototype).toBeInstanceOf(Error);
});

test("pull() does not take a cached model that lacks a shard", async () => {
  using folder = temporaryFolder();
  await using server = await hub(folder);
  const snapshot = folder.path(`cache/models--org--tiny/snapshots/${COMMIT}`);
  mkdirSync(snapshot, { recursive: true });
  const index = { weight_map: { a: "model-1.safetensors", b: "model-2.safetensors" } };
  writeFileSync(join(snapshot, "model.safetensors.index.json"), JSON.stringify(index));
  for (const name of ["config.json", "model-1.safetensors"]) writeFileSync(join(snapshot, name), "");
  const request = { model: `org/tiny@${COMMIT}`, settings: { ...server.settings, isOffline: true } };
  await expect(server.pull(request)).rejects.toThrow("is not in");
  writeFileSync(join(snapshot, "model-2.safetensors"), "");
  expect((await server.pull(request)).path).toBe(snapshot);
});

test("pull() asks which of several GGUF files, takes the one named with all its parts, and refuses pickles", async () => {
  using folder = temporaryFolder();
  const files = {
    "a-q4.gguf": WEIGHTS,
    "b-00001-of-00002.gguf": WEIGHTS,
    "b-00002-of-00002.gguf": WEIGHTS,
    "x.bin": WEIGHTS,
  };
  await using server = await hub(folder, (request, response, next) => {
    if (request.url!.includes("/tree/")) return sendJson(response, hubTree(files));
    if (request.url!.includes("/resolve/")) return sendBytes(request, response, WEIGHTS);
    next();
  });
  await expect(server.pull()).rejects.toMatchObject({
    message: '"org/tiny" has 2 GGUF files',
    hint: expect.stringContaining("a-q4.gguf (100 kB), b-00001-of-00002.gguf"),
  });
  const { path, files: pulled } = await server.pull({ model: "org/tiny:b-00001-of-00002.gguf" });
  expect(path.endsWith("b-00001-of-00002.gguf")).toBe(true);
  expect(pulled).toHaveLength(2);
  await expect(server.pull({ file: "x.bin" })).rejects.toThrow('"x.bin" is not downloaded');
  await expect(server.pull({ file: "c.gguf" })).rejects.toThrow('has no file "c.gguf"');
});

test.each(["../../escape.json", "/etc/passwd", "a\\b.json", "C:x.json"])(
  "pull() refuses a repository with the path %s",
  async (path) => {
    using folder = temporaryFolder();
    await using server = await hub(folder, (request, response, next) =>
      request.url!.includes("/tree/") ? sendJson(response, hubTree({ [path]: WEIGHTS })) : next(),
    );
    await expect(server.pull()).rejects.toThrow("has a file with the path");
  },
);

test("pull() follows the pages of a long list", async () => {
  using folder = temporaryFolder();
  await using server = await hub(folder, (request, response, next) => {
    if (!request.url!.includes("/tree/")) return next();
    const [first, second] = [hubTree(FILES).slice(0, 1), hubTree(FILES).slice(1)];
    if (request.url!.includes("cursor=2")) return sendJson(response, second);
    const next_ = `<http://${request.headers.host}${request.url}&cursor=2>; rel="next"`;
    response.writeHead(200, { link: next_ }).end(JSON.stringify(first));
  });
  expect((await server.pull()).files.map(({ path }) => path)).toContain("model.safetensors");
});

test("findOllamaModel() finds the weights of a name and tag, and says what there is", async () => {
  using folder = temporaryFolder();
  const manifests = folder.path("manifests/registry.ollama.ai/library/tiny");
  for (const path of [manifests, folder.path("blobs")]) mkdirSync(path, { recursive: true });
  const layer = { mediaType: "application/vnd.ollama.image.model", digest: `sha256:${sha256(WEIGHTS)}`, size: 100_000 };
  writeFileSync(join(manifests, "latest"), JSON.stringify({ layers: [{ mediaType: "other" }, layer] }));
  const root = folder.path(".");
  await expect(findOllamaModel("tiny", root)).rejects.toThrow("it has no of 100000 bytes");
  writeFileSync(folder.path(`blobs/sha256-${sha256(WEIGHTS)}`), WEIGHTS);
  expect(await findOllamaModel("tiny:latest", root)).toMatchObject({ sizeBytes: 100_000, sha256: sha256(WEIGHTS) });
  await expect(findOllamaModel("big", root)).rejects.toMatchObject({
    message: expect.stringContaining('Ollama has no model "big"'),
    hint: "It has tiny; or run: ollama pull big",
  });
  await expect(findOllamaModel("../x", root)).rejects.toThrow("no name of Ollama's");
});
