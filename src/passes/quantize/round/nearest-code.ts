// The code whose level is nearest to a value that was divided by its scale.
import type { ScalarFormat } from "./scalar-format.js";

/** @param value in units of the scale, offset taken away; NaN (a scale of zero) gives the level nearest to zero */
export function codeOf({ levels }: Pick<ScalarFormat, "levels">, value: number): number {
  const last = levels.length - 1;
  const first = levels[0]!;
  if (levels[last]! - first === last) {
    // whole numbers
    const code = Math.round(Number.isNaN(value) ? -first : value - first);
    return code < 0 ? 0 : code > last ? last : code;
  }
  const wanted = Number.isNaN(value) ? 0 : value;
  let code = 0;
  while (code < last && wanted > (levels[code]! + levels[code + 1]!) / 2) code++;
  return code;
}
