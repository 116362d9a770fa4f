import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { sharedModel } from "../../test/shared.js";
import { writeSyntheticModel } from "../../test/synthetic-model.js";
import { rowCount } from "./model.js";
import { openModel } from "./open.js";
import { saveModel } from "./save.js";

const folder = mkdtempSync(join(tmpdir(), "pare-save-"));
afterAll(() => rmSync(folder, { recursive: true }));

for (const name of ["stories260K-f32.gguf", "stories15M-f16.gguf", "minimind2-small-f16.gguf"]) {
  test.skipIf(!sharedModel(name))(`${name} opened and saved has the same metadata and tensors`, async () => {
    const path = join(folder, name);
    const model = await openModel(sharedModel(name)!);
    await saveModel(model, path);
    const copy = await openModel(path);
    expect([...copy.metadata.entries()]).toEqual([...model.metadata.entries()]);
    expect([...copy.tensors.keys()]).toEqual([...model.tensors.keys()]);
    for (const [tensorName, tensor] of model.tensors) {
      const rows = rowCount(tensor.shape);
      const [before, after] = [await tensor.readRows(0, rows), await copy.tensors.get(tensorName)!.readRows(0, rows)];
      expect(Buffer.compare(before, after), tensorName).toBe(0);
    }
    await Promise.all([model.close(), copy.close()]);
  });
}

test("saveModel() can replace the file that the model is open from", async () => {
  const path = join(folder, "itself.gguf");
  await writeSyntheticModel(path);
  const before = readFileSync(path);
  const model = await openModel(path);
  const { sizeBytes } = await saveModel(model, path);
  await model.close();
  expect(sizeBytes).toBe(before.byteLength);
  expect(Buffer.compare(readFileSync(path), before)).toBe(0);
});

test("LazyTensor.readRows() counts rows over all higher dimensions and refuses others", async () => {
  const path = join(folder, "experts.gguf");
  await writeSyntheticModel(path, { experts: 4 });
  const model = await openModel(path);
  const tensor = model.tensors.get("blk.0.ffn_down_exps.weight")!;
  expect(tensor.shape).toEqual([512, 256, 4]);
  const all = await tensor.readRows(0, 1024);
  const last = await tensor.readRows(1023, 1);
  expect(last).toEqual(all.subarray(1023 * 2048));
  expect(last.byteOffset).toBe(0);
  expect((await tensor.readRows(1024, 0)).byteLength).toBe(0);
  await expect(tensor.readRows(1023, 2)).rejects.toThrow('"blk.0.ffn_down_exps.weight" has 1024 rows, not 2 from 1023');
  await expect(tensor.readRows(-1, 1)).rejects.toThrow(RangeError);
  await model.close();
});
