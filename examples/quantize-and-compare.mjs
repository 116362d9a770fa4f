// Quantizes a model in two or more ways and prints what each costs: size, bits per weight, KL divergence from the original.
//
//   node examples/quantize-and-compare.mjs MODEL TEXT [TYPE...]
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { evaluateText, quantize } from "pare";

const [model, textPath, ...types] = process.argv.slice(2);
if (textPath === undefined) {
  console.error("node examples/quantize-and-compare.mjs MODEL TEXT [TYPE...]");
  process.exit(2);
}
const texts = [await readFile(textPath, "utf8")];
const windows = { count: 8 }; // enough to tell 4 bits from 8, quick enough to wait for
const folder = await mkdtemp(join(tmpdir(), "pare-example-"));

try {
  const baseline = join(folder, "baseline"); // the original is run once, then read
  await evaluateText({ model, texts, windows, baselineFile: baseline });
  console.log("type      bytes  bits/weight  KL divergence");
  for (const type of types.length > 0 ? types : ["q8_0", "q4_K_M"]) {
    const output = join(folder, `${type}.gguf`);
    const { sizeBytes, bitsPerWeight } = await quantize({ input: model, output, type });
    const { klDivergence } = await evaluateText({ model: output, texts, windows, against: baseline });
    const { mean, standardError } = klDivergence;
    console.log(
      `${type.padEnd(7)} ${String(sizeBytes).padStart(7)}  ${bitsPerWeight.toFixed(2).padStart(11)}  ${mean.toFixed(5)} ± ${standardError.toFixed(5)}`,
    );
  }
} finally {
  await rm(folder, { recursive: true });
}
