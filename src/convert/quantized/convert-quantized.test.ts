// A quantized checkpoint as a whole: what it becomes, and that it is what its values as floats would become.
import { expect, test } from "vitest";

import { caseOf, writeCheckpoint } from "../../../test/checkpoints/write-checkpoint.js";
import { quantizeCheckpoint } from "../../../test/checkpoints/quantize-checkpoint.js";
import { temporaryFolder } from "../../../test/command.js";
import { elementCount, rowCount } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { loadGgml } from "../../native/engine.js";
import { dequantize } from "../../native/ggml.js";
import { convert } from "../convert.js";

// Llama's queries and keys change their rows' order; a mixture's experts are stacked.
test.each(["tiny-llama-150K-chat", "qwen3", "olmoe"])("convert() of %s in GPTQ keeps every value", async (name) => {
  using folder = temporaryFolder();
  await writeCheckpoint(folder.path("source"), { ...caseOf(name), dtype: "F32", shards: 1 });
  const to = { gptq: folder.path("gptq"), plain: folder.path("plain") };
  await quantizeCheckpoint(folder.path("source"), to);
  const packed = await convert({ input: to.gptq, output: folder.path("packed.gguf") });
  expect(packed.types["q4_0"]).toBeGreaterThan(6);
  await convert({ input: to.gptq, output: folder.path("floats.gguf"), type: "f32" });
  await convert({ input: to.plain, output: folder.path("plain.gguf"), type: "f32" });
  await using blocks = await openModel(folder.path("packed.gguf"));
  await using floats = await openModel(folder.path("floats.gguf"));
  await using plain = await openModel(folder.path("plain.gguf"));
  expect(blocks.metadata.number("general.file_type")).toBe(2);
  expect([...floats.tensors.keys()]).toEqual([...plain.tensors.keys()]);
  for (const [tensorName, wanted] of plain.tensors) {
    const bytes = await wanted.readRows(0, rowCount(wanted.shape));
    const same = await floats.tensors.get(tensorName)!.readRows(0, rowCount(wanted.shape));
    expect(Buffer.from(same).equals(bytes), tensorName).toBe(true);
    const block = blocks.tensors.get(tensorName)!;
    if (block.type !== "q4_0") continue;
    const restored = dequantize(
      loadGgml(),
      "q4_0",
      await block.readRows(0, rowCount(block.shape)),
      elementCount(block.shape),
    );
    const values = new Float32Array(Uint8Array.from(bytes).buffer);
    expect(
      restored.every((value, i) => value === values[i]),
      tensorName,
    ).toBe(true); // 0 is -0
  }
});
