// The measurements that mixes of every size are chosen from, made once: what `quantize --size --table` measures on its way to
// the first file, without the file.
import { diagnosing } from "../../model/diagnose.js";
import type { Model } from "../../model/model.js";
import { isolate } from "../../native/isolate.js";
import type { Effort } from "../../passes/quantize/round/problem.js";
import type { RunOptions } from "../../support/progress.js";
import { versions } from "../versions.js";
import { readCalibrationSources } from "./calibration-sources.js";
import { candidateTypes } from "./candidate-types.js";
import { EFFORTS } from "./effort.js";
import type { MeasureTypesInput, MeasureTypesOutput } from "./measure-types.job.js";
import type { Measurements } from "./measurement-schema.js";
import { emptyMeasurements } from "./measurement-table.js";
import { openTypes } from "./solve-mix.js";

/** How the text is read and the tensors are rounded; the same is to be asked for with each size. */
export interface SizesRequest {
  model: Model;
  /** Of the model's file. */
  sha256: string;
  /** Bytes of the smallest file that will be asked for: which types are measured hangs on it. */
  smallestBytes: number;
  /** Text files. */
  calibrate: readonly string[];
  contextLength?: number | undefined;
  parseSpecial: boolean;
  effort: Effort;
  threads?: number | undefined;
}

/**
 * Measures what rounding each tensor to each type does.
 *
 * @returns a table that serves every size from `smallestBytes` on
 * @throws {PareError} when the text is too short
 * @throws {EngineError} when llama.cpp can't run the model, or an activation is NaN or infinite
 */
export async function measureForSizes(request: SizesRequest, options: RunOptions): Promise<Measurements> {
  const { model, sha256, smallestBytes, calibrate, effort, ...setup } = request;
  const { texts } = await readCalibrationSources(calibrate, options.signal);
  const types = openTypes(model, { fileBytes: smallestBytes }, effort);
  const input: MeasureTypesInput = {
    ...setup,
    effort,
    input: model.path!,
    texts: texts.map(({ text }) => text),
    types: [...model.tensors.values()].map((tensor) => [tensor.name, candidateTypes(tensor, { types })]),
  };
  const measuring = { ...options, what: `measuring "${model.path!}"` };
  const measured = await diagnosing([model.path!], () =>
    isolate<MeasureTypesInput, MeasureTypesOutput>("fit/allocate/measure-types.job", input, measuring),
  );
  const read = {
    texts: texts.map(({ path, sha256 }) => ({ name: path, sha256 })),
    contextLength: measured.contextLength,
  };
  const table = emptyMeasurements({
    source: { sha256, sizeBytes: model.fileSizeBytes! },
    calibration: { ...read, windows: measured.textWindows },
    evaluation: { ...read, windows: measured.probeWindows },
    rounding: { effort, rows: EFFORTS[effort].sampleRows },
    seeds: {},
    versions: versions(),
  });
  return { ...table, tensors: measured.tensors };
}
