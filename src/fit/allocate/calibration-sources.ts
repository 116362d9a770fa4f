// What was given to calibrate with: texts, a file of finished statistics, or both. Told apart by content.
import { type StatisticsKind, statisticsKind } from "../../calibrate/finished-statistics.js";
import { UsageError } from "../../errors.js";
import type { Model } from "../../model/model.js";
import { sha256 } from "../../support/files.js";
import { readText } from "../../support/read-text.js";
import { openFinishedInputs, requireSameModel } from "./finished-inputs.js";

export interface CalibrationSources {
  texts: { path: string; text: string; sha256: string }[];
  /** To round by; without it the texts' own inputs are measured. */
  statistics?: { path: string; kind: StatisticsKind };
}

/**
 * Reads the texts and recognises statistics.
 *
 * @throws {FormatError} when a file is neither, such as a model, or importance data in the older form
 * @throws {UsageError} when two files of statistics are given
 * @throws {PareError} when a text can't be read
 */
export async function readCalibrationSources(
  paths: readonly string[],
  signal?: AbortSignal,
): Promise<CalibrationSources> {
  const kinds = await Promise.all(paths.map((path) => statisticsKind(path, { signal })));
  const files = paths.flatMap((path, i) => (kinds[i] ? [{ path, kind: kinds[i] }] : []));
  if (files.length > 1) {
    throw new UsageError(`Two files of statistics are given, "${files[0]!.path}" and "${files[1]!.path}"`, {
      hint: "Round by one of them: Hessians are better than importance data",
    });
  }
  const texts = await Promise.all(
    paths
      .filter((_, i) => !kinds[i])
      .map(async (path) => {
        const text = await readText(path, signal);
        return { path, text, sha256: sha256(text) };
      }),
  );
  return { texts, ...(files[0] && { statistics: files[0] }) };
}

/**
 * Makes sure that the sources are enough for what is asked, and says what they cost.
 *
 * @param wanted what needs a text
 * @returns warnings
 * @throws {UsageError} when a text is needed
 * @throws {PareError} when the statistics are of another model
 */
export async function checkSources(
  { texts, statistics }: CalibrationSources,
  model: Pick<Model, "tensors">,
  wanted: {
    isSized: boolean;
    hasTable: boolean;
    writesTable: boolean;
    readsText: boolean;
    choosesCache: boolean;
    recovers: boolean;
  },
): Promise<string[]> {
  if (!statistics) return [];
  await using finished = await openFinishedInputs(statistics.path);
  requireSameModel(finished, model.tensors);
  const warnings: string[] = [];
  if (statistics.kind === "imatrix") {
    warnings.push(
      `"${statistics.path}" holds importance alone, not what columns have in common: error feedback has nothing to work with. ` +
        "Hessians are better: pare calibrate MODEL TEXT -o imatrix.gguf --hessians FILE.gguf",
    );
  }
  if (texts.length > 0) return warnings;
  if (wanted.readsText) {
    throw new UsageError("How a text is read matters only where one is given beside the statistics", {
      hint: "Leave --context and --parse-special out, or add --calibrate text.txt",
    });
  }
  if (wanted.choosesCache) {
    throw new UsageError("Types of the KV cache are chosen by their divergence, which takes a text to measure", {
      hint: "Add --calibrate text.txt beside the statistics; without one give the size in bytes, and no --kv-cache",
    });
  }
  if (wanted.recovers) {
    throw new UsageError("Recovery learns from the original's predictions, which takes a text", {
      hint: "Leave --recover out, or add --calibrate text.txt",
    });
  }
  if (wanted.writesTable) {
    throw new UsageError("Measurements of divergence need a text", { hint: "Add --calibrate text.txt" });
  }
  if (wanted.isSized && !wanted.hasTable) {
    warnings.push(
      "Without a text no divergence is measured: types are chosen by layer errors alone, each weighted by the root of its tensor's weights. " +
        "Add --calibrate text.txt beside the statistics",
    );
  }
  return warnings;
}
