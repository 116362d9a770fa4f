// From a table of measurements to a type for every tensor, as `quantize --size` chooses it. Runs no model: the job does it
// before it rounds, a dry run does it alone.
import { GGML_TYPES, type GgmlType } from "../../formats/gguf/ggml-types.js";
import type { Model } from "../../model/model.js";
import type { TypeOverride } from "../../passes/quantize/assign-types.js";
import type { Effort } from "../../passes/quantize/round/problem.js";
import { isSolvable } from "../../passes/quantize/round/round-rows.js";
import { scalarFormat } from "../../passes/quantize/round/scalar-format.js";
import { type Allocation, allocate } from "./allocate.js";
import { MIX_TYPES } from "./candidate-types.js";
import type { Measurements } from "./measurement-schema.js";
import { weightsTotal } from "./size-target.js";

export interface MixRequest {
  /** Bytes that the file may have. */
  fileBytes: number;
  pins: readonly TypeOverride[];
  minimize: "size" | "latency";
  effort: Effort;
}

/** Bits per weight of the whole file below which codebook types take part. */
const CODEBOOK_BITS = 3.6;

/**
 * Chooses a type for every tensor.
 *
 * @throws {UnreachableSizeError} when no mix is as small; it has the size of the smallest
 */
export function solveMix(model: Model, measured: Measurements["tensors"], request: MixRequest): Allocation {
  const { fileBytes, pins, minimize, effort } = request;
  const types = openTypes(model, fileBytes, effort);
  return allocate({ model, table: { tensors: measured }, fileBytes, pins, types, minimize });
}

/**
 * Types that look up several weights at a time take minutes to round and decode slowly, and matter where bits are very few:
 * only then, or when time is no matter, do they take part.
 */
export function openTypes(model: Pick<Model, "tensors">, fileBytes: number, effort: Effort): GgmlType[] {
  const isTight = fileBytes * 8 < CODEBOOK_BITS * weightsTotal(model);
  return MIX_TYPES.filter((type) => {
    if (!GGML_TYPES[type].quantized) return true;
    return scalarFormat(type) !== undefined || (isSolvable(type) && (isTight || effort === "high"));
  });
}
