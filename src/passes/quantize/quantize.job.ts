// The child's side of `quantize`: opens, plans, streams. Kept free of heavy imports, as its start counts on small models.
import { readImportance } from "../../calibrate/read-imatrix.js";
import { writeGguf } from "../../formats/gguf/write.js";
import { openModel } from "../../model/open.js";
import { loadEngine } from "../../native/engine.js";
import type { JobContext } from "../../native/isolate.js";
import { type TensorOutcome, outcomes } from "./outcome.js";
import { planQuantization } from "./plan.js";
import { quantizeModel } from "./quantize-model.js";
import type { QuantizeOptions } from "./quantize-options.js";
import { slabStreams } from "./stream-slabs.js";

export interface QuantizeJobInput {
  input: string;
  output: string;
  options: QuantizeOptions;
  /** The importance file, and the name under which the output mentions it. */
  importance?: { path: string; name: string } | undefined;
  threads: number;
}

export interface QuantizeJobOutput {
  sizeBytes: number;
  sha256: string;
  tensors: TensorOutcome[];
}

export async function run(input: QuantizeJobInput, context: JobContext): Promise<QuantizeJobOutput> {
  await using model = await openModel(input.input);
  const importance = input.importance && {
    path: input.importance.name,
    data: await readImportance(input.importance.path),
  };
  const plan = planQuantization(model, input.options, importance);
  const quantized = quantizeModel(model, plan, { engine: loadEngine(), importance });
  const sources = [...quantized.tensors.values()];
  const streams = slabStreams(sources, input.threads + 2);
  const tensors = sources.map(({ name, shape, type }, index) => ({ name, shape, type, chunks: () => streams(index) }));
  const written = await writeGguf(
    input.output,
    { metadata: quantized.metadata, tensors },
    { onProgress: (progress) => context.progress({ ...progress, stage: "quantizing" }) },
  );
  return { ...written, tensors: outcomes(model, plan.assignments) };
}
