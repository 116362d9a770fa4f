import { readdirSync } from "node:fs";
import { dirname } from "node:path";

import { expect, test } from "vitest";

import { temporaryFolder } from "../../../test/command.js";
import { RoundedTensors } from "./rounded-tensors.js";

test("RoundedTensors keeps bytes on disk, takes the later of two, and leaves nothing", async () => {
  using folder = temporaryFolder();
  const output = folder.path("out.gguf");
  {
    await using rounded = await RoundedTensors.create(output);
    await rounded.set("a", Uint8Array.of(1, 2, 3));
    await rounded.set("b", new Uint8Array(0));
    await rounded.set("a", Uint8Array.of(4, 5));
    expect([rounded.size, rounded.has("a"), rounded.has("c")]).toEqual([2, true, false]);
    expect([rounded.get("a"), rounded.get("b"), rounded.get("c")]).toEqual([
      Uint8Array.of(4, 5),
      new Uint8Array(0),
      undefined,
    ]);
    expect(readdirSync(dirname(output))).toHaveLength(1);
  }
  expect(readdirSync(dirname(output))).toEqual([]);
});
