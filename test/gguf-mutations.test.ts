// Damaged GGUF files, a seeded sample of what `bench/gguf-mutations.mjs` does at length.
import { readFileSync, writeFileSync } from "node:fs";

import { expect, test } from "vitest";

import { mutateGguf } from "../bench/mutate-gguf.mjs";
import { FormatError } from "../src/errors.js";
import { readGguf } from "../src/formats/gguf/read.js";
import { checkForEngine } from "../src/model/check.js";
import { inspect } from "../src/model/inspect.js";
import { openModel } from "../src/model/open.js";
import { Random } from "../src/support/random.js";
import { temporaryFolder } from "./command.js";
import { writeSyntheticModel } from "./synthetic-model.js";

test("inspect(), openModel() and checkForEngine() load a damaged file or refuse it with a FormatError", async () => {
  using folder = temporaryFolder();
  const path = folder.path("model.gguf");
  await writeSyntheticModel(path, {
    layers: 1,
    width: 32,
    feedForward: 32,
    experts: 2,
    tokenizer: "bpe",
    vocabulary: 420,
  });
  const gguf = await readGguf(path);
  const headerBytes = gguf.tensors[0]!.offset;
  await gguf.close();
  const original = new Uint8Array(readFileSync(path));
  const random = new Random(7);
  const fields = Array.from({ length: 200 }, () => random.integer(headerBytes - 8));
  const outcomes = { loaded: 0, refused: 0 };
  for (let i = 0; i < 300; i++) {
    const { bytes } = mutateGguf(original, random, { headerBytes, fields: [0, 4, 8, 16, ...fields] });
    const damaged = folder.path("damaged.gguf");
    writeFileSync(damaged, bytes);
    const outcome = await load(damaged);
    outcomes[outcome]++;
  }
  expect(outcomes.loaded + outcomes.refused).toBe(300);
  expect(Math.min(outcomes.loaded, outcomes.refused)).toBeGreaterThan(30); // or the sample shows nothing
});

async function load(path: string): Promise<"loaded" | "refused"> {
  try {
    await inspect(path);
    const model = await openModel(path);
    try {
      await checkForEngine(model);
    } finally {
      await model.close();
    }
    return "loaded";
  } catch (error) {
    if (error instanceof FormatError && error.message.includes(path)) return "refused";
    throw error;
  }
}
