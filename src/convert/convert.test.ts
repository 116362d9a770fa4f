import { readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { CASES, type CheckpointCase } from "../../test/checkpoints/cases.js";
import { caseOf, writeCheckpoint } from "../../test/checkpoints/write-checkpoint.js";
import { temporaryFolder } from "../../test/command.js";
import { readSafetensors } from "../formats/safetensors/read.js";
import { type SafetensorsTensorSource, writeSafetensors } from "../formats/safetensors/write.js";
import { openModel } from "../model/open.js";
import { convert } from "./convert.js";
import { FAMILIES } from "./families/registry.js";
import { openCheckpoint } from "./open-checkpoint.js";

/** A checkpoint with its configuration changed. */
async function changed(folder: string, name: string, config: Record<string, unknown>): Promise<string> {
  const one = caseOf(name);
  await writeCheckpoint(folder, one);
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...one.config, ...config }));
  return folder;
}

test("every family has a checkpoint that is held against llama.cpp's converter", () => {
  const classes = new Set(CASES.flatMap(({ config }) => config["architectures"] as string[]));
  expect(FAMILIES.filter((family) => !family.classes.some((name) => classes.has(name)))).toEqual([]);
});

test("convert() keeps the checkpoint's type, and says where the model is from", async () => {
  using folder = temporaryFolder();
  const commit = "0123456789abcdef0123456789abcdef01234567";
  const input = folder.path(`models--example-org--Tiny-Llama-150K-chat/snapshots/${commit}`);
  await writeCheckpoint(input, { ...caseOf("tiny-llama-150K-chat"), dtype: "BF16" });
  const output = folder.path("model.gguf");
  const result = await convert({ input, output });
  expect(result).toMatchObject({
    architecture: "llama",
    name: "Tiny Llama 150K Chat",
    type: "bf16",
    license: "apache-2.0",
    source: "https://huggingface.co/example-org/Tiny-Llama-150K-chat",
    revision: commit,
    sizeBytes: statSync(output).size,
    warnings: [],
  });
  await using model = await openModel(output);
  expect(model.metadata.string("general.organization")).toBe("Example Org");
  expect(model.metadata.string("general.source.revision")).toBe(commit);
  expect(model.tensors.get("blk.0.attn_q.weight")!.type).toBe("bf16");
  expect(model.tensors.get("blk.0.attn_norm.weight")!.type).toBe("f32");
});

test("a checkpoint's tensors are the same read at once and row by row", async () => {
  using folder = temporaryFolder();
  await writeCheckpoint(folder.path("moe"), caseOf("mixtral"));
  await using checkpoint = await openCheckpoint(folder.path("moe"), { type: "f16" });
  for (const name of ["blk.1.attn_q.weight", "blk.0.ffn_up_exps.weight", "blk.0.attn_norm.weight"]) {
    const tensor = checkpoint.model.tensors.get(name)!;
    const rows = tensor.shape.slice(1).reduce((product, length) => product * length, 1);
    const whole = await tensor.readRows(0, rows);
    const parts: Uint8Array[] = [];
    for (let row = 0; row < rows; row += 7) parts.push(await tensor.readRows(row, Math.min(7, rows - row)));
    expect(Buffer.concat(parts).equals(whole), name).toBe(true);
    await expect(tensor.readRows(rows, 1)).rejects.toThrow(RangeError);
  }
});

test("convert() holds one piece of a tensor at a time, not the model", async () => {
  using folder = temporaryFolder();
  await writeCheckpoint(folder.path("one"), caseOf("qwen3"));
  const steps: string[] = [];
  await convert(
    { input: folder.path("one"), output: folder.path("one.gguf") },
    { onProgress: ({ stage, detail }) => steps.push(`${stage} ${detail ?? ""}`.trim()) },
  );
  expect(steps[0]).toBe("converting token_embd.weight");
  expect(steps.at(-1)).toBe("converting");
});

test("convert() leaves nothing when it is aborted", async () => {
  using folder = temporaryFolder();
  await writeCheckpoint(folder.path("one"), caseOf("qwen3"));
  const controller = new AbortController();
  const request = { input: folder.path("one"), output: folder.path("out/one.gguf") };
  const running = convert(request, { signal: controller.signal, onProgress: () => controller.abort() });
  await expect(running).rejects.toThrow(/abort/i);
  expect(readdirSync(folder.path("out"))).toEqual([]);
});

test.each<[what: string, name: string, config: Record<string, unknown>, reason: RegExp]>([
  [
    "an unknown architecture",
    "qwen3",
    { architectures: ["GhostForCausalLM"] },
    /its architecture is "GhostForCausalLM"/,
  ],
  ["no architecture", "qwen3", { architectures: undefined }, /its architecture is absent/],
  [
    "weights that are quantized in a way that is not read",
    "qwen3",
    { quantization_config: { quant_method: "fp8" } },
    /its weights are quantized \(fp8\)/,
  ],
  ["a count that is a text", "qwen3", { num_attention_heads: "4" }, /num_attention_heads is "4", a count is wanted/],
  ["no count", "qwen3", { hidden_size: undefined }, /hidden_size is absent/],
  ["heads that do not divide the rows", "smollm", { num_attention_heads: 3 }, /are no 3 heads of even length/],
  [
    "more layers than tensors",
    "qwen3",
    { num_hidden_layers: 3 },
    /tensor "model.layers.2.input_layernorm.weight" is missing/,
  ],
  ["fewer layers than tensors", "qwen3", { num_hidden_layers: 1 }, /is beyond the 1 layers that config.json says/],
  ["more experts than tensors", "mixtral", { num_local_experts: 5 }, /experts.4.w1.weight" is missing/],
  ["fewer experts than tensors", "mixtral", { num_local_experts: 3 }, /has 4 experts, not 3/],
  [
    "another family's tensors",
    "qwen2",
    { architectures: ["Qwen3ForCausalLM"], head_dim: 16 },
    /Qwen3 has no tensor "model.layers.0.self_attn.[kqv]_proj.bias"/,
  ],
  [
    "an activation that the graph has not",
    "smollm",
    { hidden_act: "gelu" },
    /hidden_act is "gelu", and llama.cpp runs/,
  ],
  ["expert weights that the graph norms", "qwen2-moe", { norm_topk_prob: true }, /norm_topk_prob is true/],
  [
    "windows that the graph has elsewhere",
    "gemma-3",
    { layer_types: Array.from({ length: 6 }, () => "full_attention") },
    /full attention in each 6th layer/,
  ],
  ["a query scale that the graph has not", "gemma-2", { query_pre_attn_scalar: 100 }, /query_pre_attn_scalar is 100/],
  ["a rope that the graph has not", "smollm", { rope_scaling: { rope_type: "spiral" } }, /rope_type is "spiral"/],
  [
    "frequency factors of another length",
    "phi-3-long",
    { rope_scaling: { type: "longrope", long_factor: [1] } },
    /long_factor is \[1\], a list of 8 numbers/,
  ],
])("convert() refuses %s", async (_what, name, config, reason) => {
  using folder = temporaryFolder();
  const input = await changed(folder.path("bad"), name, config);
  await expect(convert({ input, output: folder.path("out.gguf") })).rejects.toThrow(reason);
  expect(readdirSync(folder.path("."))).toEqual(["bad"]);
});

test("convert() lists the known architectures in the hint", async () => {
  using folder = temporaryFolder();
  const input = await changed(folder.path("bad"), "qwen3", { architectures: ["GhostForCausalLM"] });
  const hint = expect.stringMatching(/^Known are LlamaForCausalLM, .*Gemma3ForCausalLM.*, OlmoeForCausalLM$/);
  await expect(convert({ input, output: folder.path("out.gguf") })).rejects.toMatchObject({ hint });
});

test.each<[what: string, damage: (folder: string) => void, reason: RegExp]>([
  [
    "a missing shard",
    (folder) => rmSync(join(folder, "model-00002-of-00003.safetensors")),
    /"model-00002-of-00003.safetensors" of 3 shards are missing/,
  ],
  [
    "a cut shard",
    (folder) => truncateSync(join(folder, "model-00002-of-00003.safetensors"), 20_000),
    /ends at byte \d+, and the file at 20000/,
  ],
  [
    "a missing index",
    (folder) => rmSync(join(folder, "model.safetensors.index.json")),
    /its weights are split, and "model.safetensors.index.json" is missing/,
  ],
  [
    "an index that leads elsewhere",
    (folder) =>
      edit(folder, "model.safetensors.index.json", (text) => text.replaceAll("model-00001", "../model-00001")),
    /no file beside it/,
  ],
  [
    "an index that says otherwise",
    (folder) => edit(folder, "model.safetensors.index.json", (text) => text.replace("00001-of", "00002-of")),
    /is not in it, and the index says so/,
  ],
  ["no config.json", (folder) => rmSync(join(folder, "config.json")), /there is no config.json/],
  [
    "a config.json that is no JSON",
    (folder) => writeFileSync(join(folder, "config.json"), "{"),
    /config.json": it is no JSON/,
  ],
  [
    "no tokenizer",
    (folder) => rmSync(join(folder, "tokenizer.json")),
    /there is no tokenizer.json and no tokenizer.model/,
  ],
  [
    "a tokenizer of another kind",
    (folder) => edit(folder, "tokenizer.json", (text) => text.replace('"BPE"', '"WordPiece"')),
    /its model is of type "WordPiece", BPE is wanted/,
  ],
  [
    "an unknown pre-tokenizer",
    (folder) => edit(folder, "tokenizer.json", (text) => text.replace("\\\\p{N}", "\\\\d")),
    /its pre-tokenizer is not known/,
  ],
  [
    "more tokens than embeddings",
    (folder) => edit(folder, "tokenizer.json", (text) => text.replace(/"Ġword0":\d+/, '"Ġword0":400')),
    /has id 400, and the model has 384 embeddings/,
  ],
  [
    "a SentencePiece model that is none",
    (folder) => writeFileSync(join(folder, "tokenizer.model"), "no protobuf"),
    /it is no SentencePiece model/,
  ],
])("convert() refuses %s", async (_what, damage, reason) => {
  using folder = temporaryFolder();
  const input = folder.path("bad");
  await writeCheckpoint(input, caseOf("qwen2"));
  damage(input);
  await expect(convert({ input, output: folder.path("out.gguf") })).rejects.toThrow(reason);
  expect(readdirSync(folder.path("."))).toEqual(["bad"]);
});

function edit(folder: string, name: string, change: (text: string) => string): void {
  const path = join(folder, name);
  const text = readFileSync(path, "utf8");
  expect(change(text)).not.toBe(text);
  writeFileSync(path, change(text));
}

test("convert() takes the name of a pre-tokenizer that it does not know", async () => {
  using folder = temporaryFolder();
  const input = folder.path("own");
  await writeCheckpoint(input, caseOf("qwen2"));
  edit(input, "tokenizer.json", (text) => text.replace("\\\\p{N}", "\\\\d"));
  const output = folder.path("out.gguf");
  await convert({ input, output, preTokenizer: "qwen2" });
  await using model = await openModel(output);
  expect(model.metadata.string("tokenizer.ggml.pre")).toBe("qwen2");
});

test("convert() warns of a chat template that does not parse", async () => {
  using folder = temporaryFolder();
  const one: CheckpointCase = { ...caseOf("qwen3"), template: "{% if %}" };
  await writeCheckpoint(folder.path("one"), one);
  const { warnings } = await convert({ input: folder.path("one"), output: folder.path("out.gguf") });
  expect(warnings).toEqual([
    expect.stringMatching(/^The chat template does not parse, so nobody can chat with the model: /),
  ]);
});

test("convert() refuses a value that is no number, and one that half precision does not hold", async () => {
  using folder = temporaryFolder();
  await writeCheckpoint(folder.path("one"), caseOf("qwen3"));
  const put = (value: number) => replaceValue(folder.path("one"), "model.layers.1.mlp.up_proj.weight", value);
  const request = { input: folder.path("one"), output: folder.path("out.gguf") };
  await put(1e6);
  await expect(convert({ ...request, type: "f16" })).rejects.toThrow(
    '"blk.1.ffn_up.weight" has values too large for f16',
  );
  await convert({ ...request, type: "bf16" });
  rmSync(request.output);
  await put(Number.NaN);
  await expect(convert({ ...request, type: "bf16" })).rejects.toThrow("not a number or is infinite");
  expect(readdirSync(folder.path("."))).toEqual(["one"]);
});

async function replaceValue(folder: string, name: string, value: number): Promise<void> {
  const tensors = await tensorsOf(folder);
  new DataView(tensors.find((tensor) => tensor.name === name)!.bytes.buffer).setFloat32(40, value, true);
  await writeTensors(folder, tensors);
}

type Tensor = Omit<SafetensorsTensorSource, "chunks"> & { bytes: Uint8Array };

async function tensorsOf(folder: string): Promise<Tensor[]> {
  await using file = await readSafetensors(join(folder, "model.safetensors"));
  const tensors = [...file.tensors.values()];
  return Promise.all(tensors.map(async (one) => ({ ...one, bytes: await file.read(one, 0, one.sizeBytes) })));
}

async function writeTensors(folder: string, tensors: readonly Tensor[]): Promise<void> {
  const sources = tensors.map((tensor) => ({ ...tensor, chunks: () => [tensor.bytes] }));
  await writeSafetensors(join(folder, "model.safetensors"), sources);
}

test.each([
  ["language_model.model.", "vision_tower."],
  ["model.language_model.", "model.vision_tower."],
])("convert() takes the text half of a Gemma 3 that sees, whose tensors begin with %s", async (prefix, vision) => {
  using folder = temporaryFolder();
  const [plain, seeing] = [folder.path("plain"), folder.path("seeing")] as const;
  const { architectures: _, ...text } = caseOf("gemma-3").config;
  await writeCheckpoint(plain, caseOf("gemma-3"));
  await writeCheckpoint(seeing, caseOf("gemma-3"));
  const config = { architectures: ["Gemma3ForConditionalGeneration"], text_config: text };
  writeFileSync(join(seeing, "config.json"), JSON.stringify(config));
  const tensors = (await tensorsOf(plain)).map((one) => ({ ...one, name: one.name.replace("model.", prefix) }));
  const eye = { name: `${vision}eye.weight`, dtype: "F32" as const, shape: [1], bytes: new Uint8Array(4) };
  await writeTensors(seeing, [...tensors, eye]);
  expect(await converted(seeing)).toEqual(await converted(plain));
});

/** Everything of a converted file but its name. */
async function converted(input: string) {
  await convert({ input, output: `${input}.gguf` });
  await using model = await openModel(`${input}.gguf`);
  const names = [...model.tensors.keys()];
  const rows = await Promise.all([...model.tensors.values()].map((one) => one.readRows(0, 1)));
  const numbers = [...model.metadata.keys()].filter((key) => key.startsWith("gemma3."));
  return {
    names,
    rows: Buffer.concat(rows).toString("hex"),
    numbers: numbers.map((key) => [key, model.metadata.get(key)]),
  };
}

test("convert() refuses a type that it does not make, and to write over its source", async () => {
  using folder = temporaryFolder();
  await writeCheckpoint(folder.path("one"), caseOf("qwen3"));
  const request = { input: folder.path("one"), output: folder.path("out.gguf") };
  await expect(convert({ ...request, type: "q4_K" })).rejects.toThrow('"q4_K" is no type to convert to');
  const output = join(request.input, "model.safetensors");
  await expect(convert({ ...request, output })).rejects.toThrow("Input and output are the same file");
  await expect(convert({ ...request, input: folder.path("two") })).rejects.toThrow("there is no such folder");
  await expect(convert({ ...request, revision: "v1" })).rejects.toThrow("is a folder, which has no revisions");
});
