// Every pass there is. A recipe can name these and no others.
import { adaptPass } from "./adapt/adapt-pass.js";
import { distillPass } from "./distill/distill-pass.js";
import type { Pass } from "./pass.js";
import { quantizePass } from "./quantize/quantize-pass.js";

/** The passes by the name that a recipe uses. */
export const PASSES = {
  quantize: quantizePass,
  distill: distillPass,
  adapt: adaptPass,
} as const satisfies Record<string, Pick<Pass<unknown>, "name" | "paper">>;

export type PassName = keyof typeof PASSES;
