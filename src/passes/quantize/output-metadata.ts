// The metadata of a quantized file, as llama-quantize writes it: everything of the source, the file type, and where the
// importance data came from. A key that is set anew moves to the end, as in gguf.cpp.
import type { Metadata, MetadataType, MetadataValue } from "../../formats/gguf/metadata.js";

/** What is noted about the importance data that was used. */
export interface ImportanceNote {
  /** Its file, as the user named it. */
  readonly path: string;
  readonly datasets: readonly string[];
  readonly entriesCount: number;
  readonly chunksCount: number;
}

const QUANTIZATION_VERSION = 2; // GGML_QNT_VERSION: how blocks are laid out, 2 since May 2023

/**
 * The source's metadata with what quantization adds.
 *
 * @param fileType number of the mixture; undefined keeps the source's own
 */
export function outputMetadata(source: Metadata, fileType: number | undefined, importance?: ImportanceNote): Metadata {
  const metadata = source.clone();
  const setLast = (key: string, type: MetadataType, value: MetadataValue) => {
    metadata.delete(key);
    metadata.set(key, type, value);
  };
  const ownFileType = metadata.get("general.file_type");
  setLast("general.quantization_version", "uint32", QUANTIZATION_VERSION);
  const written = fileType ?? ownFileType;
  if (written !== undefined) setLast("general.file_type", "uint32", written);
  for (const key of ["split.no", "split.count", "split.tensors.count"]) metadata.delete(key);
  if (importance) {
    setLast("quantize.imatrix.file", "string", shortened(importance.path));
    const [dataset] = importance.datasets;
    if (dataset !== undefined) setLast("quantize.imatrix.dataset", "string", shortened(dataset));
    setLast("quantize.imatrix.entries_count", "uint32", importance.entriesCount);
    if (importance.chunksCount > 0) setLast("quantize.imatrix.chunks_count", "uint32", importance.chunksCount);
  }
  return metadata;
}

/** llama.cpp keeps 127 bytes of such texts; a character that would be cut is left out. */
function shortened(text: string): string {
  const utf8 = Buffer.from(text);
  let end = Math.min(utf8.byteLength, 127);
  while (end < utf8.byteLength && (utf8[end]! & 0xc0) === 0x80) end--;
  return utf8.toString("utf8", 0, end);
}
