// The child process's part of merging an adapter that is there already.
import { openModel } from "../../model/open.js";
import { loadEngine } from "../../native/engine.js";
import type { MergeRequest } from "./merge.js";
import { type MergedFile, writeMerged } from "./write-merged.js";

/** Runs in a child process. */
export async function run({ model, type = "f16", ...files }: MergeRequest): Promise<MergedFile> {
  await using base = await openModel(model);
  return await writeMerged(loadEngine(), { base, type, ...files });
}
