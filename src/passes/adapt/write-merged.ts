// Merging as a file: adapter and model in, model out.
import type { Model } from "../../model/model.js";
import { saveModel } from "../../model/save.js";
import type { GgmlLibrary } from "../../native/engine.js";
import type { FILE_TYPES } from "../../train/file-types.js";
import { readAdapter } from "./adapter-file.js";
import { mergeAdapter } from "./merge-adapter.js";

export interface MergedFile {
  output: string;
  sizeBytes: number;
  sha256: string;
}

/** @throws {FormatError} when the adapter is none, or of another model */
export async function writeMerged(
  engine: GgmlLibrary,
  { base, adapter, output, type }: { base: Model; adapter: string; output: string; type: keyof typeof FILE_TYPES },
): Promise<MergedFile> {
  const changes = await readAdapter(engine, adapter, base);
  return { output, ...(await saveModel(mergeAdapter(engine, base, changes, type), output)) };
}
