// Which share of a model takes part in one token: everything, but of the experts only those that the router picks.
import { type TensorShape, elementCount } from "./model.js";

/** Matrices of all experts in one (`ffn_up_exps`), or of one expert each as older files have it (`ffn_up.3.weight`). */
const EXPERT_TENSOR = /\.ffn_[a-z_]+_(?:ch)?exps(?:\.|$)|\.ffn_(?:gate|down|up)\.\d+\./;

/** True for a tensor that holds routed experts, of which a token uses a few. */
export function isExpertTensor(name: string): boolean {
  return EXPERT_TENSOR.test(name);
}

/**
 * The share of a tensor that one token goes through.
 *
 * @param experts experts per layer
 * @param expertsUsed experts per token, by layer or for all layers alike
 */
export function activeShare(name: string, experts: number, expertsUsed: number | readonly number[]): number {
  if (experts === 0 || !isExpertTensor(name)) return 1;
  const layer = Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? 0);
  const used = typeof expertsUsed === "number" ? expertsUsed : (expertsUsed[layer] ?? expertsUsed[0] ?? experts);
  return Math.min(1, used / experts);
}

/** Parameters that take part in one token. */
export function parametersActive(
  tensors: ReadonlyMap<string, TensorShape>,
  experts: number,
  expertsUsed: number | readonly number[],
): number {
  let total = 0;
  for (const { name, shape } of tensors.values())
    total += elementCount(shape) * activeShare(name, experts, expertsUsed);
  return Math.round(total);
}
