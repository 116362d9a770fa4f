import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";

import { writeSyntheticModel } from "../../test/synthetic-model.js";
import { EngineError } from "../errors.js";
import { MetadataArray } from "../formats/gguf/metadata.js";
import { diagnosing } from "./diagnose.js";

const folder = mkdtempSync(join(tmpdir(), "pare-diagnose-"));
const failing = (reason: Error) => async (): Promise<never> => {
  throw reason;
};

test("diagnosing() finds the fault that the engine stopped at", async () => {
  const path = join(folder, "twins.gguf");
  await writeSyntheticModel(path, {
    edit: (metadata) => {
      const tokens = metadata.array("tokenizer.ggml.tokens")!.strings();
      tokens[300] = tokens[270]!;
      metadata.set("tokenizer.ggml.tokens", "array", MetadataArray.of("string", tokens));
    },
  });
  const work = failing(new EngineError("The engine stopped while chatting: GGML_ASSERT(…) failed"));
  await expect(diagnosing([undefined, path], work)).rejects.toThrow(/tokens 270 and 300 of its vocabulary are both/);
});

test("diagnosing() leaves other errors, and faults that it can't find, as they are", async () => {
  const path = join(folder, "sound.gguf");
  await writeSyntheticModel(path);
  const engine = new EngineError("no memory");
  const other = new Error("else");
  await expect(diagnosing([path], failing(engine))).rejects.toBe(engine);
  await expect(diagnosing(["no such file"], failing(other))).rejects.toBe(other);
  expect(await diagnosing([path], async () => 7)).toBe(7);
});
