// How large a quantized file will be, to the byte, without quantizing anything.
import { ggufSizeBytes } from "../../formats/gguf/write.js";
import type { Model } from "../../model/model.js";
import type { TypeAssignments } from "./assign-types.js";
import { type ImportanceNote, outputMetadata } from "./output-metadata.js";

/**
 * Exact bytes of the file that `quantize` will write: header, tensors and padding.
 *
 * @param importance what will be noted about importance data, where some is used: the note is part of the header
 */
export function predictSize(
  model: Pick<Model, "metadata" | "tensors">,
  assignments: TypeAssignments,
  importance?: ImportanceNote,
): number {
  const fileType = model.metadata.has("general.file_type") ? undefined : 0; // any number has the same size
  const tensors = [...assignments].map(([name, { type }]) => ({ name, type, shape: model.tensors.get(name)!.shape }));
  return ggufSizeBytes({ metadata: outputMetadata(model.metadata, fileType, importance), tensors });
}
