// Does a table of measurements speak of every tensor that has a choice? One that it lacks could only stay as it is, at no
// loss and whatever it takes.
import { PareError } from "../../errors.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { TensorDescription } from "../../passes/quantize/tensor-role.js";
import { candidateTypes } from "./candidate-types.js";
import type { Measurements } from "./measurement-schema.js";

/** Named in full; of more, the number. */
const NAMES_SHOWN = 8;

/**
 * Refuses a table that lacks tensors.
 *
 * @param path of the table
 * @param tensors of the model
 * @param open.types those to choose from
 * @param open.pinned tensors whose type is given
 * @throws {PareError} naming the tensors
 */
export function requireMeasured(
  path: string,
  table: Pick<Measurements, "tensors">,
  tensors: Iterable<TensorDescription>,
  open: { types: readonly GgmlType[]; pinned: ReadonlyMap<string, unknown> },
): void {
  const missing = [...tensors]
    .filter((tensor) => candidateTypes(tensor, open).length > 1)
    .map(({ name }) => name)
    .filter((name) => !open.pinned.has(name) && !Object.hasOwn(table.tensors, name));
  if (missing.length === 0) return;
  const shown = missing.slice(0, NAMES_SHOWN).map((name) => `"${name}"`);
  const more = missing.length - shown.length;
  throw new PareError(
    `Measurements "${path}" say nothing of ${shown.join(", ")}${more > 0 ? ` and ${more} more tensors` : ""}`,
    { hint: "Give each a type with --tensor-type PATTERN=TYPE, or name another table to measure anew" },
  );
}
