import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import { openModel } from "../../model/open.js";
import { saveModel } from "../../model/save.js";
import { loadEngine } from "../../native/engine.js";
import { PASSES } from "../registry.js";
import { quantize } from "./quantize.js";

const folder = mkdtempSync(join(tmpdir(), "pare-quantize-pass-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("the quantize pass gives a lazy model that saves as quantize() writes it", async () => {
  const input = join(folder, "model.gguf");
  await writeSyntheticModel(input, { layers: 1, feedForward: 256, vocabulary: 320, type: "f16", experts: 4 });
  const context = { engine: loadEngine(), threads: 2, seed: 1 };
  await using lean = await PASSES.quantize.apply(await openModel(input), { type: "q4_K_M" }, context);
  const saved = await saveModel(lean, join(folder, "saved.gguf"));
  const written = await quantize({ input, output: join(folder, "written.gguf"), type: "q4_K_M", hash: true });
  expect(saved).toEqual({ sizeBytes: written.sizeBytes, sha256: written.sha256 });
});

test.each(["mxfp4", "nvfp4"])("quantize() writes the plain type %s, which is no preset", async (type) => {
  const input = join(folder, "plain.gguf");
  await writeSyntheticModel(input, { layers: 1, feedForward: 256, vocabulary: 320, type: "f32" });
  const { types, tensors } = await quantize({ input, output: join(folder, `${type}.gguf`), type });
  expect(types).toEqual({ [type]: tensors.filter(({ shape }) => shape.length > 1).length, f32: 3 });
});
