// A model with experts for tests: a small dense one whose feed-forward parts are stacked several times behind a router.
import { readGguf } from "../src/formats/gguf/read.js";
import { type GgufTensorSource, writeGguf } from "../src/formats/gguf/write.js";
import { Random } from "../src/support/random.js";

/**
 * Writes a mixture of experts made of a dense f32 Llama; all experts of a layer hold the dense layer's weights. Of each
 * pair of experts (0 and 1, 2 and 3, …, `used` pairs) the router picks one for a token; what is beyond the pairs is never chosen.
 */
export async function writeExpertModel(
  densePath: string,
  path: string,
  { experts, used }: { experts: number; used: number },
): Promise<void> {
  await using dense = await readGguf(densePath);
  const metadata = dense.metadata.clone();
  metadata.set("llama.expert_count", "uint32", experts).set("llama.expert_used_count", "uint32", used);
  const random = new Random(3);
  const tensors: GgufTensorSource[] = [];
  for (const tensor of dense.tensors) {
    const bytes = await dense.readTensor(tensor);
    const stacked = /^(blk\.\d+\.ffn_(?:gate|up|down))\.weight$/.exec(tensor.name)?.[1];
    if (stacked === undefined) {
      tensors.push({ name: tensor.name, shape: tensor.shape, type: tensor.type, chunks: () => [bytes] });
      continue;
    }
    const copies = Array.from({ length: experts }, () => bytes);
    tensors.push({
      name: `${stacked}_exps.weight`,
      shape: [...tensor.shape, experts],
      type: "f32",
      chunks: () => copies,
    });
    if (stacked.endsWith("gate"))
      tensors.push(router(`${stacked}_inp.weight`, tensor.shape[0]!, experts, used, random));
  }
  await writeGguf(path, { metadata, tensors });
}

/** Rows r, −r for each pair and zeros beyond: one of a pair scores above zero, the rest at it. */
function router(name: string, columns: number, experts: number, used: number, random: Random): GgufTensorSource {
  const weights = new Float32Array(columns * experts);
  for (let pair = 0; pair < used; pair++) {
    for (let j = 0; j < columns; j++) {
      const weight = random.normal();
      weights[2 * pair * columns + j] = weight;
      weights[(2 * pair + 1) * columns + j] = -weight;
    }
  }
  return { name, shape: [columns, experts], type: "f32", chunks: () => [new Uint8Array(weights.buffer)] };
}
