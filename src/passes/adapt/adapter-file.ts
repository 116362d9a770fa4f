// Low-rank adapters as llama.cpp's GGUF files: `general.type` is `adapter`, and each adapted matrix has two tensors,
// `<name>.lora_a` [k, rank] and `<name>.lora_b` [rank, m]. What llama.cpp's `llama-adapter.cpp` checks is the measure, and
// checked here first, as a message of ours names what is wrong.
import { FormatError } from "../../errors.js";
import { Metadata } from "../../formats/gguf/metadata.js";
import { type GgufFile, type GgufTensor, readGguf } from "../../formats/gguf/read.js";
import { LORA_A, LORA_B } from "../../graph/project.js";
import { type Model, elementCount } from "../../model/model.js";
import type { GgmlLibrary } from "../../native/engine.js";
import { dequantize } from "../../native/ggml.js";

/** What an adapter adds to one matrix: scale · B A. */
export interface LowRank {
  readonly rank: number;
  /** [k × rank] */
  readonly a: Float32Array;
  /** [rank × m] */
  readonly b: Float32Array;
  /** α / rank. */
  readonly scale: number;
}

/** The metadata of an adapter for a model. */
export function adapterMetadata(base: Pick<Model, "metadata" | "spec">, alpha: number): Metadata {
  const name = base.metadata.string("general.name");
  const metadata = new Metadata()
    .set("general.architecture", "string", base.spec.architecture)
    .set("general.type", "string", "adapter")
    .set("adapter.type", "string", "lora")
    .set("adapter.lora.alpha", "float32", alpha);
  if (name === undefined) return metadata;
  return metadata.set("general.base_model.count", "uint32", 1).set("general.base_model.0.name", "string", name);
}

/**
 * Reads an adapter.
 *
 * @param base the model that it is to be added to
 * @returns by the name of the matrix
 * @throws {FormatError} when it is no LoRA adapter, or one of another model
 */
export async function readAdapter(
  engine: GgmlLibrary,
  path: string,
  base: Pick<Model, "tensors" | "spec">,
): Promise<Map<string, LowRank>> {
  await using file = await readGguf(path);
  requireLora(file, base.spec.architecture);
  const alpha = file.metadata.number("adapter.lora.alpha") ?? 0;
  const values = async (tensor: GgufTensor): Promise<Float32Array> =>
    dequantize(engine, tensor.type, await file.readTensor(tensor), elementCount(tensor.shape));
  const adapter = new Map<string, LowRank>();
  for (const [name, { a, b }] of pairsOf(file, base)) {
    const rank = b.shape[0]!;
    // An adapter that says no α is added as it is.
    adapter.set(name, { rank, a: await values(a), b: await values(b), scale: alpha ? alpha / rank : 1 });
  }
  return adapter;
}

function requireLora({ metadata, path }: GgufFile, architecture: string): void {
  const kind = `${metadata.string("general.type")} ${metadata.string("adapter.type")}`;
  if (kind !== "adapter lora") throw new FormatError(path, `"${path}" is no LoRA adapter in GGUF form`);
  const own = metadata.string("general.architecture");
  if (own !== architecture)
    throw new FormatError(path, `The adapter "${path}" is for a ${own} model, this one is ${architecture}`);
}

function pairsOf(file: GgufFile, { tensors }: Pick<Model, "tensors">): Map<string, { a: GgufTensor; b: GgufTensor }> {
  const fail = (reason: string): never => {
    throw new FormatError(file.path, `Cannot add the adapter "${file.path}": ${reason}`, {
      hint: "Take the model that it was made for",
    });
  };
  const names = new Set(file.tensors.map(({ name }) => name.replace(/\.lora_[ab]$/, "")));
  const pairs = new Map<string, { a: GgufTensor; b: GgufTensor }>();
  for (const name of names) {
    const a = file.tensor(name + LORA_A);
    const b = file.tensor(name + LORA_B);
    const matrix = tensors.get(name);
    if (!a || !b) return fail(`"${name}" has not both of ${LORA_A} and ${LORA_B}`);
    if (!matrix) return fail(`the model has no tensor "${name}"`);
    const [k, m] = matrix.shape;
    if (a.shape[0] !== k || b.shape[1] !== m || a.shape[1] !== b.shape[0])
      return fail(
        `"${name}" is [${matrix.shape.join(", ")}], its parts [${a.shape.join(", ")}] and [${b.shape.join(", ")}]`,
      );
    pairs.set(name, { a, b });
  }
  return pairs;
}
