// Converted checkpoints against llama.cpp's own converter and transformers: `test/golden/convert.json` holds what those two
// made of the same files; `scripts/convert-golden/make.py` makes it anew.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { convert } from "../src/convert/convert.js";
import { MetadataArray } from "../src/formats/gguf/metadata.js";
import { type GgufFile, readGguf } from "../src/formats/gguf/read.js";
import { loadEngine } from "../src/native/engine.js";
import { LlamaContext } from "../src/native/llama-context.js";
import { LlamaModel } from "../src/native/llama-model.js";
import { TokenBatch } from "../src/native/token-batch.js";
import { CASES } from "./checkpoints/cases.js";
import { caseOf, writeCheckpoint } from "./checkpoints/write-checkpoint.js";
import { temporaryFolder } from "./command.js";

interface Golden {
  metadata: Record<string, unknown>;
  tensors: Record<string, string>;
  /** Tensors by the type of the file. */
  types: Record<string, Record<string, string>>;
  /** [positions × every so many tokens] */
  logits: number[][];
}

const golden = JSON.parse(readFileSync(new URL("golden/convert.json", import.meta.url), "utf8")) as {
  tokens: number[];
  every: number;
  checkpoints: Record<string, Golden>;
};
test("there are golden values for every checkpoint", () => {
  expect(Object.keys(golden.checkpoints).sort()).toEqual(CASES.map(({ name }) => name).sort());
});

// What Pare writes otherwise, on purpose.
const OTHERWISE: Record<string, { metadata: string[] }> = {
  // A tokenizer.json of SentencePiece's pieces: ranks of merges as scores, and `<unk>` as what it is.
  mistral: { metadata: ["tokenizer.ggml.scores", "tokenizer.ggml.token_type"] },
};

test.each(CASES.map(({ name }) => name))(
  "convert() makes of %s the tensors, metadata and logits of llama.cpp's converter and transformers",
  async (name) => {
    using folder = temporaryFolder();
    const input = folder.path(name);
    await writeCheckpoint(input, caseOf(name));
    const output = folder.path("model.gguf");
    await convert({ input, output, type: "f32" });
    await using gguf = await readGguf(output);
    const { tensors, metadata, types, logits } = golden.checkpoints[name]!;
    expect(await describeTensors(gguf)).toEqual(tensors);
    const without = OTHERWISE[name]?.metadata ?? [];
    expect(omit(describeMetadata(gguf), without)).toEqual(omit(metadata, without));
    expectClose(await logitsOf(output), logits, 1e-3);
    for (const [type, wanted] of Object.entries(types)) {
      await convert({ input, output: folder.path(type), type });
      await using other = await readGguf(folder.path(type));
      expect(await describeTensors(other)).toEqual(wanted);
    }
  },
);

async function describeTensors(gguf: GgufFile): Promise<Record<string, string>> {
  const entries = gguf.tensors.map(async (tensor): Promise<[string, string]> => {
    const hash = createHash("sha256").update(await gguf.readTensor(tensor));
    return [tensor.name, `${tensor.type} ${tensor.shape.join("x")} ${hash.digest("hex").slice(0, 16)}`];
  });
  return Object.fromEntries(await Promise.all(entries));
}

function describeMetadata({ metadata }: GgufFile): Record<string, unknown> {
  return Object.fromEntries([...metadata.entries()].map(({ key, value }) => [key, described(value)]));
}

function described(value: unknown): unknown {
  if (!(value instanceof MetadataArray)) return value;
  const values = value.values();
  if (values.length <= 12) return values;
  const isFloat = value.elementType === "float32";
  const text = values.map((one) => (isFloat ? ((one as number) + 0).toFixed(4) : String(one))).join("\n");
  return { length: values.length, sha256: createHash("sha256").update(text).digest("hex").slice(0, 16) };
}

function omit(record: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => !keys.includes(key)));
}

/** All positions' logits, every so many tokens, with nothing in half precision. */
async function logitsOf(path: string): Promise<number[][]> {
  using model = LlamaModel.load(loadEngine(), path);
  using context = LlamaContext.create(model, {
    contextLength: 256,
    threads: 1,
    typeK: "f32",
    typeV: "f32",
    flashAttention: "off",
  });
  const batch = new TokenBatch(golden.tokens.length);
  for (const [position, token] of golden.tokens.entries()) batch.add(token, position, 0, true);
  context.decode(batch);
  return golden.tokens.map((_, row) => [...context.logits(row)].filter((_, token) => token % golden.every === 0));
}

function expectClose(found: number[][], wanted: number[][], tolerance: number): void {
  const differences = found.flatMap((row, i) => row.map((value, j) => Math.abs(value - wanted[i]![j]!)));
  expect(found.flat().length).toBe(wanted.flat().length);
  expect(Math.max(...differences)).toBeLessThan(tolerance);
}
