// Exports that are run by something else: Ollama (in whose place Pare's own server answers here, which speaks its API), Docker,
// and Node. What is in the last two is started in export-image.test.ts.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

import { afterAll, afterEach, expect, test, vi } from "vitest";

import { exportNode } from "../src/export/node/export-node.js";
import { exportOllama } from "../src/export/ollama/export-ollama.js";
import { temporaryFolder } from "./command.js";
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

test("exports that carry Pare along say so where there is no npm", async () => {
  vi.stubEnv("PATH", folder.path("nowhere"));
  await expect(exportNode({ model: BUNDLED, output: folder.path("without") })).rejects.toThrow(
    "Cannot pack Pare: spawn npm ENOENT",
  );
});
