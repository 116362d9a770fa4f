import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { caseOf, writeCheckpoint } from "./checkpoints/write-checkpoint.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { COMMIT, startHub } from "./hub-server.js";

/** The files of a tiny checkpoint by name. */
async function checkpointFiles(folder: string): Promise<Record<string, Buffer>> {
  await writeCheckpoint(folder, { ...caseOf("qwen3"), card: "---\nlicense: mit\n---\n" });
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
}

test("pare convert makes a GGUF file that pare inspect and pare quantize read", async () => {
  using folder = temporaryFolder();
  const output = folder.path("tiny.gguf");
  await writeCheckpoint(folder.path("tiny"), caseOf("tiny-llama-150K-chat"));
  const converted = documentOf("convert", await pare(["convert", folder.path("tiny"), output, "--json"]));
  expect(converted).toMatchObject({ architecture: "llama", type: "f32", license: "apache-2.0", warnings: [] });
  const inspected = documentOf("inspect", await pare(["inspect", output, "--json"]));
  expect(inspected.parametersTotal).toBe(converted.parameters);
  expect((await pare(["quantize", output, folder.path("q8.gguf"), "--type", "q8_0"])).exitCode).toBe(0);
  const { stdout } = await pare(["convert", folder.path("tiny"), output, "-t", "F16"]);
  expect(stdout).toMatch(/^wrote +.*tiny\.gguf\nmodel +Tiny, llama\n/);
  expect(stdout).toMatch(/matrices in f16\nlicence +apache-2.0\n/);
});

test("pare pull and pare convert take a model from the hub that HF_ENDPOINT names, with its licence and commit", async () => {
  using folder = temporaryFolder();
  await using hub = await startHub(await checkpointFiles(folder.path("files")));
  const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: folder.path("home"), HF_HUB_CACHE: "", HF_TOKEN: "" };
  const pulled = documentOf("pull", await pare(["pull", "org/tiny", "--json"], { env }));
  expect(pulled).toMatchObject({ repository: "org/tiny", revision: COMMIT });
  expect(pulled.path.startsWith(folder.path("home/hub/models--org--tiny/snapshots"))).toBe(true);
  const output = folder.path("tiny.gguf");
  const converted = documentOf("convert", await pare(["convert", "org/tiny", output, "--json"], { env }));
  expect(converted).toMatchObject({
    name: "Tiny",
    license: "mit",
    source: "https://huggingface.co/org/tiny",
    revision: COMMIT,
  });
  const { stdout } = await pare(["pull", "hf:org/tiny"], { env });
  expect(stdout).toMatch(/downloaded +nothing, as all was there\n/);
  const offline = documentOf(
    "pull",
    await pare(["pull", "org/tiny", "--json"], { env: { ...env, HF_HUB_OFFLINE: "1" } }),
  );
  expect(offline.path).toBe(pulled.path);
});

test("commands take a model of the hub's or of Ollama's in place of a path", async () => {
  using folder = temporaryFolder();
  await writeCheckpoint(folder.path("tiny"), caseOf("qwen3"));
  await pare(["convert", folder.path("tiny"), folder.path("tiny.gguf")]);
  const gguf = readFileSync(folder.path("tiny.gguf"));
  await using hub = await startHub({ "tiny.gguf": gguf });
  const sha256 = createHash("sha256").update(gguf).digest("hex");
  const manifest = {
    layers: [{ mediaType: "application/vnd.ollama.image.model", digest: `sha256:${sha256}`, size: gguf.length }],
  };
  const library = folder.path("ollama/manifests/registry.ollama.ai/library/tiny");
  for (const path of [library, folder.path("ollama/blobs")]) mkdirSync(path, { recursive: true });
  writeFileSync(join(library, "latest"), JSON.stringify(manifest));
  writeFileSync(folder.path(`ollama/blobs/sha256-${sha256}`), gguf);
  const env = {
    HF_ENDPOINT: hub.endpoint,
    HF_HOME: folder.path("home"),
    HF_HUB_CACHE: "",
    HF_TOKEN: "",
    OLLAMA_MODELS: folder.path("ollama"),
  };
  for (const name of ["hf:org/tiny", "hf:org/tiny:tiny.gguf", "ollama:tiny"]) {
    const inspected = documentOf("inspect", await pare(["inspect", name, "--json"], { env }));
    expect(inspected.architecture).toBe("qwen3");
  }
  await using other = await startHub(await checkpointFiles(folder.path("files")));
  const otherEnv = { ...env, HF_ENDPOINT: other.endpoint, HF_HOME: folder.path("other") };
  const refused = await pare(["inspect", "hf:org/tiny", "--json"], { env: otherEnv });
  expect(failureOf(refused).hint).toBe("Run: pare convert hf:org/tiny MODEL.gguf");
  expect((await pare(["convert", "hf:org/tiny", folder.path("again.gguf")], { env: otherEnv })).exitCode).toBe(0);
});

test("pare export ollama writes a Modelfile for a converted model", async () => {
  using folder = temporaryFolder();
  await writeCheckpoint(folder.path("tiny"), caseOf("tiny-llama-150K-chat"));
  await pare(["convert", folder.path("tiny"), folder.path("tiny.gguf")]);
  const args = ["export", "ollama", folder.path("tiny.gguf"), folder.path("out")];
  const exported = documentOf("export-ollama", await pare([...args, "--context", "128", "--json"]));
  const text = readFileSync(exported.path, "utf8");
  expect(text).toMatch(/^# Written by pare export ollama\nFROM \.\/tiny\.gguf\n/);
  expect(text).toMatch(
    /\nPARAMETER num_ctx 128\nPARAMETER temperature 0\.6\nPARAMETER top_k 40\nPARAMETER top_p 0\.9\n/,
  );
  expect(text).toMatch(/\nLICENSE """apache-2\.0"""\n$/);
  const { stdout } = await pare(args);
  expect(stdout).toMatch(/\n\nollama create tiny -f .*Modelfile\nollama run tiny\n$/);
  expect((await pare(["export", "paper", "a.gguf", "b"])).exitCode).toBe(2);
});

test("Ctrl-C ends pare pull within a second, and the next run goes on", async () => {
  using folder = temporaryFolder();
  const files = await checkpointFiles(folder.path("files"));
  let interrupt = () => {};
  let isFirst = true;
  await using hub = await startHub(files, (request, response, next) => {
    if (!request.url!.endsWith("model.safetensors") || !isFirst) return next();
    isFirst = false;
    response.writeHead(200, { "content-length": files["model.safetensors"]!.byteLength });
    response.write(files["model.safetensors"]!.subarray(0, 50_000), interrupt);
  });
  const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: folder.path("home"), HF_HUB_CACHE: "", HF_TOKEN: "" };
  const outcome = await pare(["pull", "org/tiny"], {
    env,
    onStart: (child) => (interrupt = () => child.kill("SIGINT")),
  });
  expect([outcome.exitCode, outcome.stdout]).toEqual([130, ""]);
  const again = documentOf("pull", await pare(["pull", "org/tiny", "--json"], { env }));
  expect(readFileSync(join(again.path, "model.safetensors"))).toEqual(files["model.safetensors"]);
});

test.each<[args: string[], exitCode: number, message: RegExp]>([
  [["convert", "nowhere", "x.gguf"], 1, /^Cannot read "nowhere": there is no such folder$/],
  [["convert", "package.json", "x.gguf"], 1, /^Cannot convert "package.json": it is a file$/],
  [["convert", "src", "x.gguf"], 1, /^Cannot read "src": there is no config.json$/],
  [["convert", "src", "x.gguf", "--type", "q4_K"], 2, /"q4_K" is no type to convert to/],
  [["pull", "not-a-model"], 2, /^"not-a-model" is no model on the hub$/],
  [["pull", "org/tiny", "--file", "../secret"], 2, /^"..\/secret" is no file of a repository$/],
  [["pull", "ollama:nobody/nothing"], 1, /^Ollama has no model "nobody\/nothing"/],
])("pare %j fails with what to do", async (args, exitCode, message) => {
  using folder = temporaryFolder();
  const env = { OLLAMA_MODELS: folder.path("ollama") };
  const outcome = await pare([...args, "--json"], { env, cwd: new URL("..", import.meta.url).pathname });
  expect(outcome.exitCode).toBe(exitCode);
  expect(failureOf(outcome).message).toMatch(message);
  expect(failureOf(outcome).hint).not.toBeNull();
});
