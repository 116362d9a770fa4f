// `pare export` as a user meets it: options that belong to another runtime, a comparison that fails or can't be made, a
// tokenizer taken from where the model came from. Runtimes are stand-ins here, so that each outcome can be had.
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { convert } from "../src/convert/convert.js";
import { exportTransformers } from "../src/export/transformers/export-transformers.js";
import { quantize } from "../src/passes/quantize/quantize.js";
import { caseOf, writeCheckpoint } from "./checkpoints/write-checkpoint.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf } from "./documents.js";
import { HAS_COMPRESSED_TENSORS, PYTHON } from "./transformers.js";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const folder = temporaryFolder();
const cache = folder.path("hub");
const snapshot = join(cache, "models--org--tiny", "snapshots", COMMIT);
const model = folder.path("tiny.gguf");

beforeAll(async () => {
  await writeCheckpoint(snapshot, caseOf("tiny-llama-150K-chat"));
  await convert({ input: snapshot, output: model });
});
afterAll(() => folder[Symbol.dispose]());

/** A program in Python's place that reads the question and prints what `answer` makes of it. */
function standIn(name: string, answer: string): string {
  const path = folder.path(name);
  const read = `let text = ""; process.stdin.on("data", (piece) => (text += piece)).on("end", () => {`;
  const program = `${read} const ask = JSON.parse(text); console.log(JSON.stringify(${answer})); });`;
  writeFileSync(path, `#!${process.execPath}\n${program}\n`);
  chmodSync(path, 0o755);
  return path;
}

const run = (output: string, ...more: string[]) =>
  pare(["export", "transformers", model, folder.path(output), "--json", ...more], { env: { HF_HUB_CACHE: cache } });

test("pare export transformers takes the tokenizer of the checkpoint in Hugging Face's cache byte for byte", async () => {
  const document = documentOf("export-transformers", await run("cached", "--no-parity"));
  expect(document).toMatchObject({ tokenizer: snapshot, architecture: "LlamaForCausalLM", weights: "f16" });
  for (const name of ["tokenizer.model", "tokenizer_config.json"]) {
    expect(readFileSync(join(folder.path("cached"), name)).equals(readFileSync(join(snapshot, name)))).toBe(true);
  }
  const env = { HF_HUB_CACHE: folder.path("empty") };
  const named = ["export", "vllm", model, folder.path("named"), "--tokenizer", snapshot, "--no-parity", "--json"];
  expect(documentOf("export-transformers", await pare(named, { env }))).toMatchObject({ tokenizer: snapshot });
  const restored = ["export", "vllm", model, folder.path("restored"), "--no-parity", "--json"];
  expect(documentOf("export-transformers", await pare(restored, { env }))).toMatchObject({ tokenizer: null });
});

test("exportTransformers() refuses a tokenizer with other tokens", async () => {
  const other = folder.path("other");
  await writeCheckpoint(other, caseOf("smollm"));
  const request = { model, output: folder.path("x"), tokenizer: other, parity: false };
  await expect(exportTransformers(request)).rejects.toThrow(/Cannot take the tokenizer of ".*other": token 0 is /);
});

test.skipIf(process.platform === "win32")("the comparison's outcome is the exit code", async () => {
  const tokens = "tokens: ask.tokens, version: '5', unloaded: []";
  const wrong = standIn("wrong", `{ ${tokens}, found: ask.tokens.map(() => 0) }`);
  const failed = await run("a", "--python", wrong);
  expect(failed.exitCode).toBe(1);
  expect(JSON.parse(failed.stdout)).toMatchObject({ parity: { status: "failed", detail: "transformers 5" } });
  const missing = await run("b", "--python", standIn("missing", `{ missing: ask.needs.slice(1) }`));
  expect(documentOf("export-transformers", missing).parity).toMatchObject({
    status: "skipped",
    detail: "Python has no transformers",
  });
  const unloaded = await run(
    "c",
    "--python",
    standIn("unloaded", `{ tokens: [], found: [], unloaded: ["lm_head.weight"] }`),
  );
  expect(JSON.parse(unloaded.stdout).parity.detail).toMatch(/tensors are missing or too much: lm_head\.weight/);
  const split = await run("d", "--python", standIn("split", `{ tokens: [1], found: [], unloaded: [], version: "5" }`));
  expect(JSON.parse(split.stdout).parity.detail).toMatch(/^transformers 5: token 1 of the text is undefined, not \d+$/);
});

test.each<[args: string[], exitCode: number, message: RegExp]>([
  [["browser", "MODEL", "out", "--kv-cache", "q8_0"], 2, /^pare: --kv-cache means nothing to browser\n/],
  [
    ["transformers", "MODEL", "out", "--weights", "q4_0"],
    2,
    /^pare: "q4_0" is no form of weights\nhint: Choose of f16/,
  ],
  [["transformers", "nothing.gguf", "out"], 1, /^pare: Cannot read "nothing.gguf": there is no such file\n/],
  [["transformers", "MODEL", "out", "--python", "no/python", "--quiet"], 1, /^$/],
  [["paper", "MODEL", "out"], 2, /^pare: .*Allowed choices are ollama, browser, transformers, vllm/],
])("pare export %j ends with exit code %i", async (args, exitCode, message) => {
  const words = args.map((word) => (word === "MODEL" ? model : word === "out" ? folder.path("out") : word));
  const outcome = await pare(["export", ...words]);
  expect(outcome.exitCode).toBe(exitCode);
  expect(outcome.stderr).toMatch(message);
});

test("exportTransformers() refuses to pack experts, and a damaged model", async () => {
  const input = folder.path("moe");
  await writeCheckpoint(input, caseOf("mixtral"));
  await convert({ input, output: folder.path("moe.gguf") });
  const packed = { model: folder.path("moe.gguf"), output: folder.path("y"), weights: "packed", parity: false };
  await expect(exportTransformers(packed)).rejects.toThrow("packed weights are not written for mixtures of experts");
  writeFileSync(folder.path("cut.gguf"), readFileSync(model).subarray(0, 20_000));
  const cut = { model: folder.path("cut.gguf"), output: folder.path("z"), parity: false };
  await expect(exportTransformers(cut)).rejects.toThrow(/Cannot read GGUF ".*cut.gguf"/);
});

describe.skipIf(!HAS_COMPRESSED_TENSORS)("in transformers with compressed-tensors", () => {
  test.each([
    ["q4_0", []],
    ["q8_0", []],
    ["q4_0", ["attn_v=q8_0", "ffn_down=q5_0", "attn_output=q4_1"]],
  ] as const)("the packed export of %s with %j says the same as the model", async (type, overrides) => {
    const input = folder.path(`${type}-${overrides.length}.gguf`);
    const source = folder.path("f32.gguf");
    await convert({ input: snapshot, output: source, type: "f32" });
    const tensorTypes = overrides
      .map((text) => text.split("="))
      .map(([pattern, other]) => ({ pattern: pattern!, type: other! }));
    await quantize({ input: source, output: input, type, tensorTypes, pure: true });
    const request = { model: input, output: folder.path(`packed-${type}-${overrides.length}`), weights: "packed" };
    const { matrices, parity } = await exportTransformers({ ...request, python: PYTHON });
    expect(parity).toMatchObject({ status: "passed", different: 0 });
    expect(Object.keys(matrices).length).toBe(overrides.length || 1);
  });
});
