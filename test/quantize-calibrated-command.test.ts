// `pare quantize --calibrate` as a shell runs it.
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { readGguf } from "../src/formats/gguf/read.js";
import { writeGguf } from "../src/formats/gguf/write.js";
import { loadGgml } from "../src/native/engine.js";
import { dequantize } from "../src/native/ggml.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const ggml = loadGgml();
const inputs = temporaryFolder();
const model = inputs.path("model.gguf");
const text = inputs.path("text.txt");
/** Several whole quantizations, on a machine that may be busy. */
const SLOW = 180_000;
const calibrated = ["--calibrate", text, "--context", "64", "--threads", "1"];
const SMALL = ["--effort", "fast", "--context", "64", "--threads", "1"];

beforeAll(async () => {
  await writeSyntheticModel(model, { type: "f16", vocabulary: 512 });
  const words = Array.from({ length: 400 }, (_, i) => `word${(i * i * 7 + i) % 190}`);
  writeFileSync(text, words.join(" "));
});
afterAll(() => inputs[Symbol.dispose]());

test(
  "quantize --size writes a file of at most that size, with types of its choice, and says how far it is",
  { timeout: SLOW },
  async () => {
    using folder = temporaryFolder();
    const output = folder.path("out.gguf");
    const args = ["quantize", model, output, "--size", "-70%", ...calibrated, "--json"];
    const outcome = await pare(args);
    expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
    const document = documentOf("quantize", outcome);
    const size = statSync(output).size;
    expect(document.sizeBytes).toBe(size);
    expect(size).toBeLessThanOrEqual(0.3 * statSync(model).size);
    expect(size).toBeGreaterThan(0.98 * 0.3 * statSync(model).size);
    expect(document.calibration!.divergence!.mean).toBeGreaterThan(0);
    expect(document.calibration!.divergence!.mean).toBeLessThan(5);
    await using gguf = await readGguf(output);
    expect(gguf.tensors.map(({ name, type }) => ({ name, type }))).toEqual(
      document.tensors.map(({ name, type }) => ({ name, type })),
    );
    expect(readdirSync(folder.path(""))).toEqual(["out.gguf"]);
  },
);

test(
  "quantize --table solves another size without measuring again, and the same size to the same types",
  { timeout: SLOW },
  async () => {
    using folder = temporaryFolder();
    const table = folder.path("table.json");
    const args = (output: string, size: string) => [
      "quantize",
      model,
      folder.path(output),
      "--size",
      size,
      ...calibrated,
      "--effort",
      "fast",
      "--table",
      table,
      "--json",
    ];
    const first = documentOf("quantize", await pare(args("a.gguf", "5bpw")));
    const measured = readFileSync(table, "utf8");
    const again = documentOf("quantize", await pare(args("b.gguf", "5bpw")));
    expect(again.tensors).toEqual(first.tensors);
    expect(readFileSync(folder.path("b.gguf")).equals(readFileSync(folder.path("a.gguf")))).toBe(true);
    const smaller = documentOf("quantize", await pare(args("c.gguf", "4.3bpw")));
    expect(smaller.sizeBytes).toBeLessThan(first.sizeBytes);
    expect(readFileSync(table, "utf8")).toBe(measured);
  },
);

test(
  "quantize --type --calibrate keeps the preset's types and comes nearer than the preset with importance data",
  { timeout: SLOW },
  async () => {
    using folder = temporaryFolder();
    const [ours, theirs, importance] = ["ours.gguf", "theirs.gguf", "imatrix.gguf"].map(folder.path) as [
      string,
      string,
      string,
    ];
    const solved = documentOf(
      "quantize",
      await pare(["quantize", model, ours, "--type", "q4_K_S", ...calibrated, "--json"]),
    );
    await pare(["calibrate", model, text, "-o", importance, "--context", "64", "--threads", "1"]);
    const plain = documentOf(
      "quantize",
      await pare(["quantize", model, theirs, "--type", "q4_K_S", "--imatrix", importance, "--json"]),
    );
    expect(solved.tensors.map(({ name, type }) => [name, type])).toEqual(
      plain.tensors.map(({ name, type }) => [name, type]),
    );
    const divergence = async (path: string) => {
      const args = ["eval", path, "--against", model, "--text", text, "--context", "64", "--threads", "1", "--json"];
      return documentOf("eval-text", await pare(args)).klDivergence!.mean;
    };
    expect(await divergence(ours)).toBeLessThan(0.8 * (await divergence(theirs)));
  },
);

test("quantize --calibrate writes types that have no solver as ggml rounds them", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const types = ["--type", "q4_0", "--tensor-type", "attn_v=bf16", "--tensor-type", "attn_q=iq1_s"];
  documentOf("quantize", await pare(["quantize", model, output, "--calibrate", text, ...types, ...SMALL, "--json"]));
  await using source = await readGguf(model);
  await using file = await readGguf(output);
  const valuesOf = async (gguf: typeof file, name: string) => {
    const { type, shape } = gguf.tensor(name)!;
    return dequantize(ggml, type, await gguf.readTensor(name), shape[0]! * shape[1]!);
  };
  for (const [kind, type, share] of [
    ["attn_v", "bf16", 1e-5],
    ["attn_q", "iq1_s", 0.5],
  ] as const) {
    const name = `blk.1.${kind}.weight`;
    expect(file.tensor(name)!.type).toBe(type);
    const [given, found] = [await valuesOf(source, name), await valuesOf(file, name)];
    const power = given.reduce((sum, value) => sum + value * value, 0);
    const error = given.reduce((sum, value, i) => sum + (value - found[i]!) ** 2, 0);
    expect(error).toBeLessThan(share * power);
  }
});

test("quantize --tensor-type pins a tensor", async () => {
  using folder = temporaryFolder();
  const pins = ["--tensor-type", "attn_v=q8_0", "--token-embedding-type", "q6_K"];
  const args = [
    "quantize",
    model,
    folder.path("out.gguf"),
    "--size",
    "-60%",
    ...calibrated,
    "--effort",
    "fast",
    ...pins,
  ];
  const { tensors } = documentOf("quantize", await pare([...args, "--json"]));
  const typesOf = (part: string) => tensors.filter(({ name }) => name.includes(part)).map(({ type }) => type);
  expect(typesOf("attn_v")).toEqual(["q8_0", "q8_0"]);
  expect(typesOf("token_embd")).toEqual(["q6_K"]);
});

test.each([
  ["a size without text", ["--size", "4bpw"], 2, "--size matters only beside --calibrate"],
  ["a size and a type", ["--size", "4bpw", "--type", "q4_0", ...calibrated], 2, "one is wanted"],
  ["neither size nor type", calibrated, 2, "Neither a size nor a type"],
  ["a size that no mix reaches", ["--size", "1000B", ...calibrated, "--effort", "fast"], 2, "the smallest mix"],
  ["a size that is none", ["--size", "small", ...calibrated], 2, '"small" is no size'],
  [
    "importance data beside text",
    ["--type", "q4_0", "--imatrix", "x.gguf", ...calibrated],
    2,
    "--imatrix has no meaning",
  ],
  ["an unknown part", ["--type", "q4_0", ...calibrated, "--without", "luck"], 2, '"luck" is no part'],
  ["a text that is not there", ["--type", "q4_0", "--calibrate", "nowhere.txt"], 1, "nowhere.txt"],
  ["a text that is too short", ["--type", "q4_0", "--calibrate", "SHORT"], 1, "tokens"],
])("quantize --calibrate refuses %s", async (_what, args, exitCode, message) => {
  using folder = temporaryFolder();
  const short = folder.path("short.txt");
  writeFileSync(short, "word1 word2");
  const output = folder.path("out.gguf");
  const outcome = await pare([
    "quantize",
    model,
    output,
    ...args.map((one) => (one === "SHORT" ? short : one)),
    "--json",
  ]);
  expect(failureOf(outcome).message).toContain(message);
  expect(outcome.exitCode).toBe(exitCode);
  expect(existsSync(output)).toBe(false);
});

test("quantize --calibrate names the tensor that holds a NaN", async () => {
  using folder = temporaryFolder();
  const damaged = folder.path("damaged.gguf");
  await using gguf = await readGguf(model);
  const tensors = await Promise.all(
    gguf.tensors.map(async ({ name, shape, type }) => {
      const bytes = await gguf.readTensor(name);
      if (name === "blk.1.ffn_up.weight") new Uint16Array(bytes.buffer, bytes.byteOffset, 1)[0] = 0x7e00;
      return { name, shape, type, chunks: () => [bytes] };
    }),
  );
  await writeGguf(damaged, { metadata: gguf.metadata, tensors });
  const outcome = await pare(["quantize", damaged, folder.path("out.gguf"), "--type", "q4_0", ...calibrated, "--json"]);
  expect(failureOf(outcome).message).toContain("blk.1.ffn_up.weight");
  expect(outcome.exitCode).toBe(1);
});

test("quantize --calibrate warns once, with numbers, of fewer tokens than the widest input has columns", async () => {
  using folder = temporaryFolder();
  const short = folder.path("short.txt");
  // A token is a character; two stand before the first. Of five windows one is measured on.
  const textOf = (tokens: number) => readFileSync(text, "utf8").slice(0, tokens - 2);
  writeFileSync(short, textOf(5 * 64));
  const run = (path: string) =>
    pare(["quantize", model, folder.path("out.gguf"), "--type", "q4_0", "--calibrate", path, ...SMALL, "--json"]);
  const { warnings } = documentOf("quantize", await run(short));
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain(
    '256 tokens were looked at, fewer than the 512 columns of the widest input ("blk.0.ffn_down.weight")',
  );
  expect(warnings[0]).toContain("damping of 1 %");
  expect(warnings[0]).toContain("576 tokens of text or more would do");
  const enough = folder.path("enough.txt");
  writeFileSync(enough, textOf(576));
  expect(documentOf("quantize", await run(enough)).warnings).toEqual([]);
});

test("quantize --calibrate warns of experts that saw fewer tokens than columns, and says how many", async () => {
  using folder = temporaryFolder();
  const mixture = folder.path("mixture.gguf");
  await writeSyntheticModel(mixture, { type: "f16", vocabulary: 512, layers: 1, experts: 4, expertsUsed: 1 });
  const args = ["quantize", mixture, folder.path("out.gguf"), "--type", "q4_0", "--calibrate", text, ...SMALL];
  const { warnings } = documentOf("quantize", await pare([...args, "--json"]));
  const ofExperts = warnings.filter((warning) => warning.includes("experts saw fewer tokens"));
  expect(ofExperts).toHaveLength(1);
  expect(ofExperts[0]).toMatch(/^[1-4] of 4 experts .*: \d+ of 512, expert [0-3] of "blk\.0\.ffn_down_exps\.weight"/);
});

test("quantize --calibrate warns of a source that is quantized already", async () => {
  using folder = temporaryFolder();
  const source = folder.path("q8.gguf");
  await pare(["quantize", model, source, "--type", "q8_0"]);
  const outcome = await pare([
    "quantize",
    source,
    folder.path("out.gguf"),
    "--type",
    "q4_0",
    ...calibrated,
    "--effort",
    "fast",
  ]);
  expect(outcome.exitCode).toBe(0);
  expect(outcome.stderr).toContain("quantized already");
});
