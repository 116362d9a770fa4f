// Not so much a test as a tool: with PARE_CHECKPOINTS it writes the tiny checkpoints to that folder, for the scripts that
// show them to other programs.
import { join } from "node:path";

import { expect, test } from "vitest";

import { readSafetensors } from "../../src/formats/safetensors/read.js";
import { temporaryFolder } from "../command.js";
import { CASES } from "./cases.js";
import { caseOf, writeCheckpoint } from "./write-checkpoint.js";

test("a checkpoint is the same each time that it is written", async () => {
  using folder = temporaryFolder();
  const hashes = ["first", "second"].map(async (name) => {
    await writeCheckpoint(folder.path(name), caseOf("qwen3"));
    await using file = await readSafetensors(join(folder.path(name), "model.safetensors"));
    const tensor = file.tensors.get("model.layers.1.mlp.up_proj.weight")!;
    return Buffer.from(await file.read(tensor, 0, tensor.sizeBytes)).toString("hex");
  });
  const [first, second] = await Promise.all(hashes);
  expect(first).toBe(second);
});

const OUT = process.env["PARE_CHECKPOINTS"];

test.runIf(OUT !== undefined)("the checkpoints are written where the scripts look for them", async () => {
  for (const one of CASES) await writeCheckpoint(join(OUT!, one.name), one);
});
