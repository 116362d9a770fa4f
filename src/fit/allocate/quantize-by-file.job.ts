// The child's side of `quantizeCalibrated` where finished statistics are given and no text: no model is built, weights are
// read from the file as they are rounded, and what the result is worth is not measured.
import { physicalCores } from "../../native/cores.js";
import { loadGgml } from "../../native/engine.js";
import type { JobContext } from "../../native/isolate.js";
import { openModel } from "../../model/open.js";
import { outcomes } from "../../passes/quantize/outcome.js";
import { RoundingPool } from "../../passes/quantize/round/rounding-pool.js";
import { EFFORTS } from "./effort.js";
import { factsOfFile } from "./facts-of-file.js";
import { openFinishedInputs } from "./finished-inputs.js";
import { measureLayerErrors } from "./measure-layer-errors.js";
import { evenMeasurements } from "./even-measurements.js";
import {
  type CalibratedJobInput,
  type CalibratedJobOutput,
  chooseAssignments,
  changedTypes,
  write,
} from "./quantize-calibrated.job.js";
import { RankWatch } from "./rank-watch.js";
import { RoundedTensors } from "./rounded-tensors.js";
import { roundByFile } from "./round-by-file.js";
import { SourceWeights } from "./source-weights.js";

/** @param job with `statistics`, and without texts */
export async function run(job: CalibratedJobInput, context: JobContext): Promise<CalibratedJobOutput> {
  const ggml = loadGgml();
  const effort = EFFORTS[job.effort];
  await using model = await openModel(job.input);
  using source = await SourceWeights.open(job.input);
  await using finished = await openFinishedInputs(job.statistics!);
  await using pool = new RoundingPool(job.threads ?? physicalCores());
  const shared = { finished, source, ggml, pool, onProgress: context.progress, breathe: context.flush };
  const choice = await chooseAssignments(job, model, {
    measure: async (types) =>
      job.without.includes("allocation")
        ? evenMeasurements(source.tensors, types.keys())
        : measureLayerErrors({ ...shared, types, sampleRows: effort.sampleRows }),
  });
  const types = changedTypes(model, choice.assignments);
  const watch = new RankWatch();
  await using rounded = await RoundedTensors.create(job.output);
  await roundByFile({
    ...shared,
    types,
    rounded,
    effort: job.without.includes("descent") ? "fast" : effort.rounding,
    onInput: (input) => watch.see(input),
  });
  return {
    sizeBytes: await write(job, model, choice.assignments, rounded),
    tensors: outcomes(model, choice.assignments),
    // Only a table of measured divergences foresees one.
    ...(job.table && choice.predicted !== undefined && { predictedDivergence: choice.predicted }),
    ...factsOfFile(finished, model.tensors, types.keys(), watch),
  };
}
