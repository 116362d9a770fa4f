// Merging an adapter into its model, without learning anything.
import { openModel } from "../../model/open.js";
import { isolate } from "../../native/isolate.js";
import { refuseReplacing } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import type { MergedFile } from "./write-merged.js";

export interface MergeRequest {
  /** GGUF file that the adapter was made for; of a split model any part. */
  model: string;
  /** LoRA adapter as a GGUF file, of `pare adapt` or llama.cpp's tools. */
  adapter: string;
  /** GGUF file to write. */
  output: string;
  /** Type of the written matrices; f16 by default. */
  type?: "f32" | "f16" | "bf16" | undefined;
}

/**
 * Writes a model with an adapter merged into it: W + (α / rank) B A for each adapted matrix. A quantized model is decoded.
 *
 * @throws {FormatError} when the adapter is no LoRA adapter, or one of another model
 * @throws {ResourceError} when the disk has no room
 * @example
 * await merge({ model: "model.gguf", adapter: "adapter.gguf", output: "merged.gguf" });
 */
export async function merge(request: MergeRequest, options: RunOptions = {}): Promise<MergedFile> {
  const { model, adapter, output } = request;
  {
    await using source = await openModel(model, options);
    await refuseReplacing(output, [...source.parts!, adapter]);
  }
  return await isolate<MergeRequest, MergedFile>("passes/adapt/merge.job", request, {
    ...options,
    what: `merging "${adapter}"`,
  });
}
