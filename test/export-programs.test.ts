// Exports that are run by something else: Ollama (in whose place Pare's own server answers here, which speaks its API), Docker,
// and Node.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

import { afterAll, afterEach, expect, test, vi } from "vitest";
import { parse } from "yaml";

import { complete } from "../src/evaluate/chat.js";
import { exportDocker } from "../src/export/docker/export-docker.js";
import { exportNode } from "../src/export/node/export-node.js";
import { exportOllama } from "../src/export/ollama/export-ollama.js";
import { temporaryFolder } from "./command.js";
import { ROOT } from "./markdown.js";
import { BUNDLED, startServer } from "./serve-fixture.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const folder = temporaryFolder();
const tools = folder.path("tools");
const calls = folder.path("calls.txt");
afterAll(() => folder[Symbol.dispose]());
afterEach(() => vi.unstubAllEnvs());

/** A program called `ollama` that notes how it was called. */
function installOllama(exitCode = 0): void {
  mkdirSync(tools, { recursive: true });
  const path = join(tools, "ollama");
  writeFileSync(
    path,
    `#!/bin/sh\necho "$1 $2" >> ${calls}\n[ "$1" = rm ] || { echo "no room" >&2; exit ${exitCode}; }\n`,
  );
  chmodSync(path, 0o755);
  vi.stubEnv("PATH", `${tools}${delimiter}${process.env["PATH"]}`);
}

const ollama = (output: string) => exportOllama({ model: BUNDLED, output: folder.path(output) });

test.skipIf(process.platform === "win32")(
  "exportOllama() passes where Ollama says what the model says, and cleans up",
  async () => {
    await using server = await startServer({ models: `pare-parity=${BUNDLED}` });
    vi.stubEnv("OLLAMA_HOST", server.url);
    installOllama();
    const { parity } = await ollama("a");
    expect(parity).toMatchObject({ status: "passed", different: 0 });
    expect(parity.positions).toBeGreaterThan(30);
    expect(readFileSync(calls, "utf8")).toBe("create pare-parity\nrm pare-parity\n");
    installOllama(1);
    expect((await ollama("b")).parity).toMatchObject({ status: "failed", detail: "ollama create: no room" });
  },
);

test.skipIf(process.platform === "win32")("exportOllama() fails where Ollama runs another model", async () => {
  const other = folder.path("other.gguf");
  await writeSyntheticModel(other, { contextLength: 512 });
  await using server = await startServer({ models: `pare-parity=${other}` });
  vi.stubEnv("OLLAMA_HOST", server.url);
  installOllama();
  expect((await ollama("c")).parity.status).toBe("failed");
});

test("exportOllama() compares nothing where no Ollama answers", async () => {
  vi.stubEnv("OLLAMA_HOST", "127.0.0.1:9"); // the port that discards
  const { parity } = await ollama("d");
  expect(parity).toMatchObject({ status: "skipped", detail: "no Ollama answers at http://127.0.0.1:9" });
});

test("exportDocker() writes an image's files: Pare without its sources, the model, and a server that this machine alone reaches", async () => {
  const output = folder.path("image");
  const { name, path } = await exportDocker({ model: BUNDLED, output, contextLength: 256 });
  expect(readdirSync(output).sort()).toEqual(["Dockerfile", "compose.yaml", "model.gguf", "pare"]);
  const lines = readFileSync(path, "utf8").split("\n");
  expect(lines.at(-2)).toBe(`CMD ["${name}=/models/model.gguf","--host","0.0.0.0","--port","8080","--context","256"]`);
  const compose = parse(readFileSync(join(output, "compose.yaml"), "utf8")) as {
    services: Record<string, { ports: string[] }>;
  };
  expect(compose.services[name]!.ports).toEqual(["127.0.0.1:8080:8080"]);
  const copied = readdirSync(join(output, "pare"), { recursive: true, encoding: "utf8" });
  expect(copied.filter((file) => /\.(map|ts)$/.test(file))).toEqual([]);
  // What the image does after `npm install`: the copied Pare starts.
  symlinkSync(join(ROOT, "node_modules"), join(output, "pare/node_modules"));
  const main = join(output, "pare/dist/cli/main.js");
  const inspected = spawnSync(process.execPath, [main, "inspect", join(output, "model.gguf"), "--json"], {
    encoding: "utf8",
  });
  expect(JSON.parse(inspected.stdout)).toMatchObject({ architecture: "llama" });
});

test("exportNode() writes a program of ten lines that answers as the command line does", async () => {
  const output = folder.path("program");
  const { path, commands } = await exportNode({ model: BUNDLED, output });
  expect(commands[0]).toBe(`npm install --prefix ${output}`);
  const code = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("//"));
  expect(code.length).toBeLessThanOrEqual(10);
  expect(JSON.parse(readFileSync(join(output, "package.json"), "utf8")).dependencies).toEqual({
    pare: `file:${ROOT}`,
  });
  mkdirSync(join(output, "node_modules"));
  symlinkSync(ROOT, join(output, "node_modules/pare"));
  expect(existsSync(join(output, "model.gguf"))).toBe(true);
  const questions = ["turn the kitchen light on", "open the blinds in the bedroom"];
  const { stdout, stderr } = spawnSync(process.execPath, [path, ...questions], { encoding: "utf8" });
  const { text } = await complete({ model: BUNDLED, prompt: questions[0]!, greedy: true }).result;
  expect([stdout.split("\n")[0], stdout.split("\n").length, stderr]).toEqual([text, 3, ""]);
});
