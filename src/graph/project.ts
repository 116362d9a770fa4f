// A matrix at work in a model's graph, with what a low-rank adapter adds to it (LoRA; Hu et al., 2021, arXiv:2106.09685,
// equation 3): W x + (α / rank) B A x. Names and shapes are those of llama.cpp's adapter files.
import type { LlamaShape, Parameters, ParameterShape } from "./llama.js";
import type { Operations } from "./operations.js";
import type { Tensor } from "./tensor.js";

/** Suffixes of an adapter's matrices: A is [k, rank], B is [rank, m] for a matrix of [k, m]. */
export const LORA_A = ".lora_a";
export const LORA_B = ".lora_b";

/** The matrices of an adapter for these, in the order of a file. */
export function adapterTensors(targets: readonly ParameterShape[], rank: number): ParameterShape[] {
  return targets.flatMap(({ name, shape: [k, m] }) => [
    { name: `${name}${LORA_A}`, shape: [k!, rank] },
    { name: `${name}${LORA_B}`, shape: [rank, m!] },
  ]);
}

/**
 * W x, and an adapter's part where there is one.
 *
 * @param x [k, n]
 * @returns [m, n]
 */
export function project(
  f: Operations,
  { adapterScale = 1 }: Pick<LlamaShape, "adapterScale">,
  parameters: Parameters,
  name: string,
  x: Tensor,
): Tensor {
  const product = f.mulMat(weight(parameters, name), x);
  const a = parameters.get(`${name}${LORA_A}`);
  if (!a) return product;
  const narrow = f.scale(f.mulMat(a, x), adapterScale); // [rank, n]
  return f.add(product, f.mulMat(weight(parameters, `${name}${LORA_B}`), narrow));
}

/** @throws {RangeError} when there is no such parameter */
export function weight(parameters: Parameters, name: string): Tensor {
  const tensor = parameters.get(name);
  if (!tensor) throw new RangeError(`The graph has no parameter "${name}"`);
  return tensor;
}
