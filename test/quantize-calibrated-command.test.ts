// `pare quantize --calibrate` as a shell runs it.
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";

import { afterAll, beforeAll, expect, test } from "vitest";

import { readMeasurements } from "../src/fit/allocate/measurement-table.js";
import { readGguf } from "../src/formats/gguf/read.js";
import { writeGguf } from "../src/formats/gguf/write.js";
import { loadGgml } from "../src/native/engine.js";
import { dequantize } from "../src/native/ggml.js";
import { readRecipe, renderRecipe } from "../src/passes/recipe.js";
import { sha256 } from "../src/support/files.js";
import { memoryBytes } from "../src/model/memory.js";
import { openModel } from "../src/model/open.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const ggml = loadGgml();
const inputs = temporaryFolder();
const model = inputs.path("model.gguf");
const text = inputs.path("text.txt");
const calibrated = ["--calibrate", text, "--context", "64", "--threads", "1"];
const SMALL = ["--effort", "fast", "--context", "64", "--threads", "1"];

beforeAll(async () => {
  await writeSyntheticModel(model, { type: "f16", vocabulary: 512 });
  const words = Array.from({ length: 400 }, (_, i) => `word${(i * i * 7 + i) % 190}`);
  writeFileSync(text, words.join(" "));
});
afterAll(() => inputs[Symbol.dispose]());

test("quantize --size writes a file of at most that size, with types of its choice, and says how far it is", async () => {
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
});

test("quantize --dry-run refuses to save a recipe of a file that it does not make", async () => {
  using folder = temporaryFolder();
  const recipe = folder.path("recipe.yaml");
  const args = ["quantize", model, "--size", "5bpw", ...calibrated, "--dry-run", "--save-recipe", recipe, "--json"];
  const outcome = await pare(args);
  expect(failureOf(outcome).message).toContain("recipe");
  expect(outcome.exitCode).toBe(2);
  expect(existsSync(recipe)).toBe(false);
});

test("quantize --dry-run with text refuses where there are no measurements yet, and writes nothing", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const outcome = await pare(["quantize", model, output, "--size", "5bpw", ...calibrated, "--dry-run", "--json"]);
  expect(failureOf(outcome).hint).toContain("--table");
  expect(outcome.exitCode).toBe(2);
  expect(existsSync(output)).toBe(false);
});

test("quantize --type --calibrate keeps the preset's types and comes nearer than the preset with importance data", async () => {
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
});

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

test("quantize --kv-cache chooses the types of a cache of that size, and says how to run it", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  const args = ["quantize", model, output, "--type", "q8_0", ...calibrated, "--effort", "fast"];
  const fullBytes = 2 * 2 * 2 * 2 * 64 * 512; // bytes, halves, layers, heads, elements of one, tokens
  const budget = Math.floor(0.45 * fullBytes);
  const document = documentOf("quantize", await pare([...args, "--kv-cache", `${budget}B@512`, "--json"]));
  const cache = document.cache!;
  expect(cache.sizeBytes).toBeLessThanOrEqual(budget);
  expect(cache.sizeBytes).toBeGreaterThan(0.8 * budget);
  expect(cache).toMatchObject({ contextLength: 512, divergence: { contextLength: 64, tokens: expect.any(Number) } });
  expect(cache.divergence.tokens).toBe(document.calibration!.divergence!.tokens);
  expect(cache.divergence.mean).toBeGreaterThan(0);
  const less = documentOf(
    "quantize",
    await pare([...args, "--kv-cache", `${Math.ceil(0.3 * fullBytes)}B@512`, "--json"]),
  );
  expect(less.cache!.sizeBytes).toBeLessThanOrEqual(0.3 * fullBytes);
  expect(less.cache!.divergence.mean).toBeGreaterThan(cache.divergence.mean);
  const text = await pare([...args, "--kv-cache", `${budget}B@512`]);
  expect(text.stdout).toContain(`K ${cache.typeK}, V ${cache.typeV}`);
  expect(text.stdout).toContain(`llama-cli -m ${output} -c 512 -ctk ${cache.typeK} -ctv ${cache.typeV} -fa on`);
  const full = await pare([...args, "--kv-cache", `${fullBytes}B@512`, "--json"]);
  expect(documentOf("quantize", full).cache).toMatchObject({ typeK: "f16", typeV: "f16", sizeBytes: fullBytes });
  expect(documentOf("quantize", await pare([...args, "--json"])).cache).toBeUndefined();
});

test("quantize --size DEVICE@N shares its memory between weights and cache, and a table keeps what was measured of both", async () => {
  using folder = temporaryFolder();
  const [device, output, table] = ["board.json", "out.gguf", "table.json"].map(folder.path) as [string, string, string];
  const context = 4096;
  const { spec } = await openedModel();
  const { compute, kvCache } = memoryBytes({ spec, tensors: new Map() }, { contextLength: context });
  const memory = compute + Math.floor(0.5 * (kvCache + statSync(model).size));
  writeFileSync(device, JSON.stringify({ name: "Board", memoryBytes: memory }));
  const size = ["--size", `${device}@${context}`, "--table", table, "--effort", "fast"];
  const args = ["quantize", model, output, ...size, ...calibrated, "--json"];
  const first = documentOf("quantize", await pare(args));
  const cache = first.cache!;
  expect(`${cache.typeK}/${cache.typeV}`).not.toBe("f16/f16");
  const tensorBytes = first.tensors.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  expect(tensorBytes + cache.sizeBytes + compute).toBeLessThanOrEqual(memory);
  expect(tensorBytes + cache.sizeBytes + compute).toBeGreaterThan(0.97 * memory);
  const kept = await readMeasurements(table);
  expect(kept.kvCache.length).toBeGreaterThanOrEqual(13);
  expect(kept.kvCache).toContainEqual(expect.objectContaining({ typeK: cache.typeK, typeV: cache.typeV }));
  const before = readFileSync(table, "utf8");
  const again = documentOf("quantize", await pare(args));
  expect([again.cache, again.tensors]).toEqual([first.cache, first.tensors]);
  expect(readFileSync(table, "utf8")).toBe(before);
  const foreseen = documentOf("quantize", await pare([...args, "--dry-run"]));
  expect([foreseen.cache, foreseen.tensors]).toEqual([first.cache, first.tensors]);
});

test("quantize --recipe makes the file again, byte for byte, that --save-recipe was written with", async () => {
  using folder = temporaryFolder();
  const [first, again, recipe] = ["first.gguf", "again.gguf", "recipe.yaml"].map(folder.path) as [
    string,
    string,
    string,
  ];
  const wish = ["--size", "4.4bpw", "--kv-cache", "200kB@512", "--effort", "fast", "--tensor-type", "ffn_up=q5_K"];
  const made = documentOf(
    "quantize",
    await pare(["quantize", model, first, ...wish, ...calibrated, "--save-recipe", recipe, "--json"]),
  );
  expect(Object.keys(made.types).length).toBeGreaterThan(3);
  const { source, passes } = await readRecipe(recipe);
  expect(source).toEqual({ name: "synthetic", sha256: sha256(readFileSync(model)) });
  expect(passes[0]!.quantize!.calibrate).toMatchObject({
    texts: [{ file: text, sha256: sha256(readFileSync(text)) }],
    contextLength: 64,
    effort: "fast",
    kvCache: { typeK: made.cache!.typeK, typeV: made.cache!.typeV, contextLength: 512 },
  });
  const args = ["quantize", model, again, "--recipe", recipe, "--threads", "2", "--json"]; // made with one
  const followed = documentOf("quantize", await pare(args));
  expect(readFileSync(again).equals(readFileSync(first))).toBe(true);
  expect(followed.cache).toEqual(made.cache);
  expect(followed.calibration).toEqual({ ...made.calibration, predictedDivergence: undefined });
});

test("quantize --recipe keeps a preset's name and what was left out, too", async () => {
  using folder = temporaryFolder();
  const recipe = folder.path("recipe.yaml");
  const how = ["--type", "q4_K_M", "--effort", "fast", "--without", "descent", "--output-tensor-type", "q6_K"];
  await pare(["quantize", model, folder.path("a.gguf"), ...how, ...calibrated, "--save-recipe", recipe]);
  await pare(["quantize", model, folder.path("b.gguf"), "--recipe", recipe, "--threads", "1"]);
  expect(readFileSync(folder.path("b.gguf")).equals(readFileSync(folder.path("a.gguf")))).toBe(true);
});

test("quantize refuses a recipe of another model or another text, and follows it with --allow-mismatch", async () => {
  using folder = temporaryFolder();
  const recipe = folder.path("recipe.yaml");
  const output = folder.path("out.gguf");
  const wrong = "0".repeat(64);
  const right = sha256(readFileSync(text));
  const write = (sourceHash: string, textHash: string) => {
    const calibrate = { texts: [{ file: text, sha256: textHash }], contextLength: 64, effort: "fast" as const };
    const passes = [{ quantize: { type: "q4_0", calibrate } }];
    writeFileSync(recipe, renderRecipe({ source: { sha256: sourceHash }, passes }));
  };
  const follow = (...more: string[]) => pare(["quantize", model, output, "--recipe", recipe, ...more, "--json"]);
  write(wrong, right);
  expect(failureOf(await follow()).message).toContain("was made for another model");
  write(sha256(readFileSync(model)), wrong);
  expect(failureOf(await follow()).message).toContain("was made with another text");
  expect(failureOf(await follow("--type", "q8_0")).message).toContain("more options are given");
  expect(failureOf(await follow("--sha256")).message).toContain("--sha256 has no meaning beside a recipe");
  expect(failureOf(await follow("--effort", "fast")).message).toContain("--effort matters only beside --calibrate");
  expect(readdirSync(folder.path(""))).toEqual(["recipe.yaml"]);
  expect((await follow("--allow-mismatch", "--threads", "1")).exitCode).toBe(0);
});

test.each([
  ["a size without text", ["--size", "4bpw"], 2, "--size matters only beside --calibrate"],
  ["a size and a type", ["--size", "4bpw", "--type", "q4_0", ...calibrated], 2, "one is wanted"],
  ["neither size nor type", calibrated, 2, "Neither a size nor a type"],
  ["a size that no mix reaches", ["--size", "1000B", ...calibrated, "--effort", "fast"], 2, "the smallest mix"],
  ["a size that is none", ["--size", "small", ...calibrated], 2, '"small" is no size'],
  [
    "a cache without text",
    ["--type", "q4_0", "--kv-cache", "1MB@512"],
    2,
    "--kv-cache matters only beside --calibrate",
  ],
  ["a cache that is none", ["--type", "q4_0", ...calibrated, "--kv-cache", "q8_0"], 2, '"q8_0" is no room'],
  [
    "a cache beside a device",
    ["--size", "raspberry-pi-5@512", ...calibrated, "--kv-cache", "1MB@512"],
    2,
    "whose memory the KV cache shares",
  ],
  [
    "a cache that no types reach",
    ["--type", "q4_0", ...calibrated, "--kv-cache", "10kB@512"],
    1,
    "the smallest KV cache (K q4_0, V q4_0) takes 147 kB",
  ],
  ["a recipe in place of the text", ["--type", "q4_0", ...calibrated, "--save-recipe", text], 2, "same file"],
  ["a recipe in place of the model", ["--type", "q4_0", ...calibrated, "--save-recipe", "OUTPUT"], 2, "same file"],
  [
    "a device that holds no weights beside the smallest cache",
    ["--size", "SMALL@512", ...calibrated, "--effort", "fast"],
    1,
    "the smallest mix of types takes",
  ],
  ["a device that holds no cache", ["--size", "TINY@512", ...calibrated], 1, "before any weight"],
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
  const { compute, kvCache } = memoryBytes({ ...(await openedModel()), tensors: new Map() }, { contextLength: 512 });
  const devices = { SMALL: compute + Math.floor(kvCache / 2), TINY: compute };
  for (const [name, memory] of Object.entries(devices)) {
    writeFileSync(folder.path(`${name}.json`), JSON.stringify({ name, memoryBytes: memory }));
  }
  const output = folder.path("out.gguf");
  const outcome = await pare([
    "quantize",
    model,
    output,
    ...args.map(
      (one) =>
        ({ SHORT: short, OUTPUT: output })[one] ?? one.replace(/^(SMALL|TINY)/, (name) => folder.path(`${name}.json`)),
    ),
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

/** The model's dimensions. */
async function openedModel() {
  await using opened = await openModel(model);
  return { spec: opened.spec };
}
