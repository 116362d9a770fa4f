import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { sharedModel } from "../../test/shared.js";
import { type SyntheticModelOptions, writeSyntheticModel } from "../../test/synthetic-model.js";
import { FormatError } from "../errors.js";
import { type Metadata, MetadataArray } from "../formats/gguf/metadata.js";
import { checkForEngine } from "./check.js";
import { openModel } from "./open.js";

const folder = mkdtempSync(join(tmpdir(), "pare-check-"));
afterAll(() => rmSync(folder, { recursive: true }));

const SMALL = { width: 32, feedForward: 32, layers: 2, vocabulary: 420 } as const;
let written = 0;

async function check(options: SyntheticModelOptions, missing?: string): Promise<void> {
  const path = join(folder, `${written++}.gguf`);
  await writeSyntheticModel(path, { ...SMALL, ...options });
  const model = await openModel(path);
  try {
    const tensors = new Map([...model.tensors].filter(([name]) => name !== missing));
    await checkForEngine({ ...model, tensors });
  } finally {
    await model.close();
  }
}

test.each<[string, SyntheticModelOptions]>([
  ["a dense model", {}],
  ["a model of experts", { experts: 4 }],
  ["byte pairs", { tokenizer: "bpe" }],
  ["a tied embedding", { tied: true }],
])("checkForEngine() finds nothing in %s", async (_what, options) => {
  await check(options);
});

for (const name of ["stories260K-f32.gguf", "stories15M-f16.gguf", "minimind2-small-f16.gguf"]) {
  test.skipIf(!sharedModel(name))(`checkForEngine() finds nothing in ${name}`, async () => {
    const model = await openModel(sharedModel(name)!);
    await checkForEngine(model);
    await model.close();
  });
}

type Edit = (metadata: Metadata) => void;

const without =
  (key: string): Edit =>
  (metadata) =>
    void metadata.delete(key);
const count =
  (key: string, value: number): Edit =>
  (metadata) =>
    void metadata.set(key, "uint32", value);
const counts =
  (key: string, values: number[]): Edit =>
  (metadata) =>
    void metadata.set(key, "array", MetadataArray.of("uint32", values));
const tokens =
  (edit: (tokens: string[]) => void): Edit =>
  (metadata) => {
    const list = metadata.array("tokenizer.ggml.tokens")!.strings();
    edit(list);
    metadata.set("tokenizer.ggml.tokens", "array", MetadataArray.of("string", list));
  };
const shorten =
  (key: string): Edit =>
  (metadata) => {
    const array = metadata.array(key)!;
    metadata.set(key, "array", MetadataArray.of(array.elementType, array.values().slice(1)));
  };

test.each<[what: string, options: SyntheticModelOptions, message: string]>([
  [
    "duplicate tokens",
    { edit: tokens((list) => (list[300] = list[270]!)) },
    'tokens 270 and 300 of its vocabulary are both "',
  ],
  [
    "a token named like an empty one",
    {
      edit: tokens((list) => {
        list[300] = "";
        list[299] = "[EMPTY_300]";
      }),
    },
    "tokens 299 and 300",
  ],
  ["no tokenizer", { edit: without("tokenizer.ggml.model") }, 'metadata "tokenizer.ggml.model" is absent'],
  ["no tokens", { edit: without("tokenizer.ggml.tokens") }, 'metadata "tokenizer.ggml.tokens" is absent'],
  [
    "no vocabulary",
    { edit: (m) => void m.set("tokenizer.ggml.tokens", "array", MetadataArray.of("string", [])) },
    "its vocabulary is empty",
  ],
  [
    "tokens that are numbers",
    { edit: counts("tokenizer.ggml.tokens", [1]) },
    "has elements of type uint32, string is wanted",
  ],
  [
    "too few token types",
    { edit: shorten("tokenizer.ggml.token_type") },
    "its vocabulary has 420 tokens and 419 token types",
  ],
  ["too few scores", { edit: shorten("tokenizer.ggml.scores") }, "its vocabulary has 420 tokens and 419 scores"],
  [
    "no merges",
    { tokenizer: "bpe", edit: without("tokenizer.ggml.merges") },
    'metadata "tokenizer.ggml.merges" is absent',
  ],
  [
    "an end token outside",
    { edit: count("tokenizer.ggml.eos_token_id", 420) },
    'metadata "tokenizer.ggml.eos_token_id" is 420, the vocabulary ends at 419',
  ],
  [
    "a longer vocabulary",
    {
      edit: (m) => {
        tokens((list) => list.push("more"))(m);
        m.delete("tokenizer.ggml.scores");
        m.delete("tokenizer.ggml.token_type");
      },
    },
    'tensor "token_embd.weight" has 420 rows for 421 tokens',
  ],
  ["no context length", { edit: without("llama.context_length") }, 'metadata "llama.context_length" is absent'],
  ["no embedding length", { edit: without("llama.embedding_length") }, 'metadata "llama.embedding_length" is absent'],
  ["no layer count", { edit: without("llama.block_count") }, 'metadata "llama.block_count" is absent'],
  ["no layers", { edit: count("llama.block_count", 0) }, 'metadata "llama.block_count" is 0, at least 1 is wanted'],
  ["too many layers", { edit: count("llama.block_count", 600) }, "it has 600 layers, the engine takes 512"],
  ["layers without tensors", { edit: count("llama.block_count", 3) }, "layer 2 of 3 has no tensors"],
  [
    "another embedding length",
    { edit: count("llama.embedding_length", 64) },
    'tensor "token_embd.weight" has rows of 32, embedding_length is 64',
  ],
  ["no heads", { edit: count("llama.attention.head_count", 0) }, "layer 0 has attention and 0 heads"],
  [
    "heads that KV heads do not divide",
    { edit: count("llama.attention.head_count_kv", 3) },
    "layer 0 has 4 heads, which 3 KV heads do not divide",
  ],
  [
    "heads that do not divide the width",
    { edit: count("llama.attention.head_count", 6) },
    "embedding_length 32 is not a multiple of its 6 heads",
  ],
  [
    "heads for other layers",
    { edit: counts("llama.attention.head_count", [4, 4, 4]) },
    'metadata "llama.attention.head_count" has 3 values for 2 layers',
  ],
  [
    "heads of two lengths",
    { edit: count("llama.attention.value_length", 4) },
    "its key heads have 8 elements and its value heads 4",
  ],
  [
    "more experts used than there are",
    { experts: 4, edit: count("llama.expert_used_count", 5) },
    "it uses 5 of 4 experts",
  ],
  ["no experts used", { experts: 4, edit: without("llama.expert_used_count") }, "it uses 0 of 4 experts"],
  [
    "experts used without experts",
    { edit: count("llama.expert_used_count", 2) },
    "expert_used_count is 2 without experts",
  ],
  [
    "too many experts",
    { experts: 4, edit: count("llama.expert_count", 2000) },
    "expert_count is 2000, the engine takes 1024",
  ],
  [
    "groups that do not divide the experts",
    { experts: 4, edit: count("llama.expert_group_count", 3) },
    "its 4 experts do not divide into 3 groups",
  ],
  [
    "an epsilon below 0",
    { edit: (m) => void m.set("llama.attention.layer_norm_rms_epsilon", "float32", -1) },
    'layer_norm_rms_epsilon" is -1, at least 0 is wanted',
  ],
  [
    "an unknown rope scaling",
    { edit: (m) => void m.set("llama.rope.scaling.type", "string", "magic") },
    'rope.scaling.type is "magic"',
  ],
])("checkForEngine() names %s", async (_what, options, message) => {
  const failure = check(options);
  await expect(failure).rejects.toThrow(FormatError);
  await expect(failure).rejects.toThrow(/^Cannot run ".*\.gguf": /);
  await expect(failure).rejects.toThrow(message);
});

test.each(["token_embd.weight", "blk.1.attn_q.weight", "blk.0.ffn_down.weight", "blk.0.attn_norm.weight"])(
  "checkForEngine() misses tensor %s",
  async (name) => {
    await expect(check({}, name)).rejects.toThrow(`tensor "${name}" is missing`);
  },
);
