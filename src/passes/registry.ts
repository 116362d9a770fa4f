// Every pass there is. A recipe can name these and no others.
import type { Pass } from "./pass.js";
import { quantizePass } from "./quantize/quantize-pass.js";

/** The passes by the name that a recipe uses. */
export const PASSES = {
  quantize: quantizePass,
} as const satisfies Record<string, Pick<Pass<unknown>, "name" | "paper">>;

export type PassName = keyof typeof PASSES;
