import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { onlyPass, readRecipe, renderRecipe } from "./recipe.js";

const folder = mkdtempSync(join(tmpdir(), "pare-recipe-"));
afterAll(() => rmSync(folder, { recursive: true }));

function recipeFile(text: string): string {
  const path = join(folder, "recipe.yaml");
  writeFileSync(path, text);
  return path;
}

test("renderRecipe() writes what readRecipe() reads", async () => {
  const quantize = {
    type: "q4_K_M",
    tokenEmbeddingType: "q8_0",
    tensorTypes: [{ pattern: "ffn_(up|down)", type: "q5_K" }],
    importance: { file: "imatrix.gguf", name: "calibration" },
  };
  const text = renderRecipe({ source: { sha256: "abc" }, passes: [{ quantize }] });
  const recipe = await readRecipe(recipeFile(text));
  const importance = { file: join(folder, "imatrix.gguf"), name: "calibration" };
  expect(recipe).toEqual({
    version: 1,
    source: { sha256: "abc" },
    passes: [{ quantize: { ...quantize, importance } }],
  });
});

test("readRecipe() takes importance data by the file alone, relative to the recipe", async () => {
  const path = recipeFile("version: 1\npasses:\n  - quantize: { type: Q4_0, importance: data/imatrix.dat }\n");
  const { passes } = await readRecipe(path);
  expect(passes[0]?.quantize?.importance).toEqual({ file: join(folder, "data/imatrix.dat"), name: "data/imatrix.dat" });
});

test("readRecipe() reads calibration, its texts relative to the recipe or with their hashes", async () => {
  const calibrate = {
    texts: [{ file: "data/a.txt", sha256: "abc" }, { file: join(folder, "b.txt") }],
    contextLength: 256,
    parseSpecial: true,
    effort: "high" as const,
    without: ["descent" as const],
    kvCache: { typeK: "q8_0", typeV: "q5_1", contextLength: 4096 },
  };
  const written = renderRecipe({ passes: [{ quantize: { type: "q4_K_M", calibrate } }] });
  const [first, second] = calibrate.texts;
  const texts = [{ ...first, file: join(folder, "data/a.txt") }, second];
  expect((await readRecipe(recipeFile(written))).passes).toEqual([
    { quantize: { type: "q4_K_M", calibrate: { ...calibrate, texts } } },
  ]);
  const short = await readRecipe(
    recipeFile("version: 1\npasses:\n  - quantize: { type: q4_0, calibrate: { texts: [c.txt] } }\n"),
  );
  expect(short.passes[0]?.quantize?.calibrate).toEqual({ texts: [{ file: join(folder, "c.txt") }] });
});

test("readRecipe() reads finished statistics, beside texts or in place of them", async () => {
  const statistics = { file: "data/hessians.gguf", sha256: "abc" };
  const written = renderRecipe({ passes: [{ quantize: { type: "q4_0", calibrate: { statistics } } }] });
  expect((await readRecipe(recipeFile(written))).passes[0]?.quantize?.calibrate).toEqual({
    statistics: { ...statistics, file: join(folder, "data/hessians.gguf") },
  });
  const calibrate = "calibrate: { texts: [c.txt], statistics: h.gguf }";
  const short = await readRecipe(recipeFile(`version: 1\npasses:\n  - quantize: { type: q4_0, ${calibrate} }\n`));
  expect(short.passes[0]?.quantize?.calibrate).toEqual({
    texts: [{ file: join(folder, "c.txt") }],
    statistics: { file: join(folder, "h.gguf") },
  });
});

test("readRecipe() reads a distillation, its files relative to the recipe", async () => {
  const distill = { layers: 3, sample: 1000, texts: [{ file: "data/a.txt", sha256: "abc" }], steps: 10 };
  const text = renderRecipe({ passes: [{ distill }] });
  expect(text).toContain("pare distill TEACHER -o OUT --recipe");
  const recipe = await readRecipe(recipeFile(text));
  const texts = [{ file: join(folder, "data/a.txt"), sha256: "abc" }];
  expect(recipe.passes).toEqual([{ distill: { ...distill, texts } }]);
  expect(() => onlyPass("r.yaml", recipe, "quantize")).toThrow('Recipe "r.yaml" is of distill, not of quantize');
});

test("readRecipe() reads what a model learned, its files relative to the recipe", async () => {
  const adapt = { rank: 4, targets: ["attn_q" as const], texts: [{ file: "a.jsonl", sha256: "abc" }], steps: 10 };
  const validation = [{ file: join(folder, "b.jsonl") }];
  const text = renderRecipe({ passes: [{ adapt: { ...adapt, validation } }] });
  expect(text).toContain("pare adapt --model MODEL -o OUT --recipe");
  const texts = [{ file: join(folder, "a.jsonl"), sha256: "abc" }];
  const recipe = await readRecipe(recipeFile(text));
  expect(recipe.passes).toEqual([{ adapt: { ...adapt, texts, validation } }]);
  expect(() => onlyPass("r.yaml", recipe, "distill")).toThrow('Recipe "r.yaml" is of adapt, not of distill');
});

test.each([
  ["version: 2\npasses:\n  - quantize: { type: q4_0 }\n", 1, "version"],
  ["version: 1\npasses:\n  - quantize:\n      type: q9_0\n", 4, '"q9_0" is no quantization type'],
  ["version: 1\npasses:\n  - quantize:\n      type: q4_0\n      speed: 3\n", 4, "speed"],
  ["version: 1\npasses:\n  - prune: {}\n", 3, "passes.0"],
  ["version: 1\npasses:\n  - distill:\n      sample: 5\n", 4, "one of student, layers (or narrow) and shape is wanted"],
  ["version: 1\npasses:\n  - distill:\n      layers: 3\n      sample: 5\n      speed: 2\n", 4, "speed"],
  ["version: 1\npasses:\n  - adapt: { rank: 4 }\n", 3, "adapt.texts"],
  ["version: 1\npasses:\n  - adapt:\n      texts: [a]\n      targets: [attn]\n", 5, "targets"],
  ["version: 1\npasses:\n  - adapt: { texts: [a], method: full, rank: 4 }\n", 3, "mean nothing to the full method"],
  ["version: 1\npasses:\n  - {}\n", 3, "one pass is wanted"],
  ["version: 1\npasses: []\n", 2, "passes"],
  ["version: 1\npasses:\n  - quantize: { type: q4_0, tensorTypes: [{ pattern: a, type: q8_1 }] }\n", 3, "q8_1"],
  ["version: 1\npasses:\n  - quantize:\n      type: q4_0\n      calibrate: { texts: [] }\n", 5, "texts"],
  [
    "version: 1\npasses:\n  - quantize:\n      type: q4_0\n      calibrate: { effort: fast }\n",
    5,
    "texts or statistics are wanted",
  ],
  [
    "version: 1\npasses:\n  - quantize:\n      type: q4_0\n      calibrate: { texts: [a], effort: most }\n",
    5,
    "effort",
  ],
  ["version: 1\npasses:\n  - quantize: { type: q4_0, importance: i, calibrate: { texts: [a] } }\n", 3, "exclude"],
  ["version: 1\npasses: [\n", 3, ""],
  ["", 1, ""],
])("readRecipe() names the line of what is wrong: %j", async (text, line, what) => {
  const failure = await readRecipe(recipeFile(text)).catch((error: unknown) => error as Error);
  expect(failure).toMatchObject({ name: "FormatError", message: expect.stringContaining(`line ${line}: `) });
  expect((failure as Error).message).toContain(what);
});

test("readRecipe() says when there is no such file", async () => {
  await expect(readRecipe(join(folder, "none.yaml"))).rejects.toThrow(
    /Cannot read recipe ".*none.yaml": there is no such file/,
  );
});
