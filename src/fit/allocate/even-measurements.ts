// Measurements that nobody made: what types are chosen from where nothing may be measured, or nothing has been yet.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { elementCount } from "../../model/model.js";
import { NOMINAL_ERRORS } from "./layer-error.js";
import type { Measurements } from "./measurement-schema.js";

/** As if the divergence that a rounding causes went by the number of weights alone. */
export function evenMeasurements(
  tensors: ReadonlyMap<string, { type: GgmlType; shape: readonly number[] }>,
  names: Iterable<string>,
): Measurements["tensors"] {
  return Object.fromEntries(
    [...names].map((name) => {
      const { type, shape } = tensors.get(name)!;
      const divergence = { mean: elementCount(shape), standardError: 0, tokens: 1 };
      return [name, { type, shape: [...shape], types: { q4_0: { layerError: NOMINAL_ERRORS.q4_0!, divergence } } }];
    }),
  );
}
