// A recipe says all that is to be done: what else could be said of types has no place beside it.
import { UsageError } from "../../errors.js";
import type { QuantizeOptions } from "./quantize-options.js";

/**
 * Refuses options beside a recipe.
 *
 * @throws {UsageError} when there are any
 */
export function requireRecipeAlone(
  request: Partial<QuantizeOptions> & { readonly importance?: string | undefined },
  recipe: string,
): void {
  const { type, tensorTypes, outputType, tokenEmbeddingType, importance, pure, keepOutput } = request;
  const given = type ?? tensorTypes?.[0] ?? outputType ?? tokenEmbeddingType ?? importance;
  if (given === undefined && !pure && !keepOutput) return;
  throw new UsageError("A recipe says all that is to be done, and more options are given", {
    hint: `Write them into "${recipe}", or leave --recipe out`,
  });
}
