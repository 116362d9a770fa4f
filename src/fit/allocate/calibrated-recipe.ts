// The recipe of a calibrated quantization: written after the work, with the types that were chosen, and read again to make
// the same file. What was measured on the way to the types is left out, as following it needs the types alone.
import { dirname, isAbsolute, relative, sep } from "node:path";

import { statisticsKind } from "../../calibrate/finished-statistics.js";
import { UsageError } from "../../errors.js";
import { parseWeightType } from "../../passes/quantize/presets.js";
import { requireRecipeAlone } from "../../passes/quantize/recipe-alone.js";
import { requireCalibration, requireSource } from "../../passes/quantize/recipe-origin.js";
import { isQuantizable } from "../../passes/quantize/tensor-role.js";
import { type QuantizeStep, onlyPass, readRecipe, renderRecipe } from "../../passes/recipe.js";
import { sha256File, writeFileAtomic } from "../../support/files.js";
import { optional } from "../../support/optional.js";
import type { RunOptions } from "../../support/progress.js";
import type { CalibrationSources } from "./calibration-sources.js";
import { groupTypes } from "./group-types.js";
import { mixLabel } from "./mix-label.js";
import type { CalibratedRequest, CalibratedResult } from "./quantize-calibrated.js";

/** What a recipe is written from. */
export interface CalibratedWork {
  request: Pick<CalibratedRequest, "type" | "parseSpecial" | "effort" | "recover" | "without">;
  result: Pick<CalibratedResult, "tensors" | "cache" | "calibration">;
  source: { name?: string | undefined; sha256: string };
  sources: CalibrationSources;
}

/** Writes how a file was made, whole or not at all. Paths are relative to the recipe. */
export async function writeCalibratedRecipe(path: string, work: CalibratedWork): Promise<void> {
  await writeFileAtomic(path, await renderCalibratedRecipe(path, work));
}

/** The text of a recipe that will lie at a path. */
export async function renderCalibratedRecipe(
  path: string,
  { request, result, source, sources: { texts, statistics } }: CalibratedWork,
): Promise<string> {
  const { tensors, cache, calibration } = result;
  const label = mixLabel(tensors);
  const calibrate: QuantizeStep["calibrate"] = {
    ...(texts.length > 0 && {
      texts: texts.map((text) => ({ file: besideRecipe(path, text.path), sha256: text.sha256 })),
    }),
    ...(statistics && {
      statistics: { file: besideRecipe(path, statistics.path), sha256: await sha256File([statistics.path]) },
    }),
    contextLength: calibration.contextLength,
    ...(request.parseSpecial && { parseSpecial: true }),
    effort: request.effort ?? "default",
    ...(request.recover && { recover: true }),
    ...(request.without?.length && { without: [...request.without] }),
    ...optional("kvCache", cache && { typeK: cache.typeK, typeV: cache.typeV, contextLength: cache.contextLength }),
  };
  const quantize = {
    type: request.type ?? label.preset?.name ?? label.type,
    tensorTypes: groupTypes(tensors.filter(({ name, shape, from }) => isQuantizable({ name, shape, type: from }))),
    calibrate,
  };
  return renderRecipe({ source, passes: [{ quantize }] });
}

/**
 * The request that a recipe stands for.
 *
 * @param request the model, the output, and the recipe; nothing that the recipe says itself, and no dry run
 * @throws {UsageError} when more is given, the recipe has no calibration or several passes, or was made for another model or
 *   with other texts or statistics
 * @throws {FormatError} when it is no recipe
 */
export async function followedRequest(request: CalibratedRequest, options: RunOptions): Promise<CalibratedRequest> {
  const { input, output, threads, allowMismatch } = request;
  const recipe = request.recipe!;
  requireRecipeAlone(request, recipe);
  refuseMore(request, recipe);
  const followed = await readRecipe(recipe);
  const { source } = followed;
  const { calibrate, importance: _none, allowRequantize: _always, ...types } = onlyPass(recipe, followed, "quantize");
  if (!calibrate) {
    throw new UsageError(`Recipe "${recipe}" has no calibration`, { hint: "Follow it with quantize()" });
  }
  if (!allowMismatch) {
    await requireCalibration(recipe, calibrate, options);
    await requireSource({ recipe, source: source?.sha256 }, input, options);
  }
  const { texts = [], statistics, kvCache, ...how } = calibrate;
  if (statistics && (await statisticsKind(statistics.file, options)) === undefined) {
    throw new UsageError(
      `Cannot follow recipe "${recipe}" with "${statistics.file}" as its statistics: it holds none`,
      {
        hint: "A text belongs under texts",
      },
    );
  }
  return {
    input,
    output,
    threads,
    ...types,
    ...how,
    calibrate: [...texts, ...(statistics ? [statistics] : [])].map(({ file }) => file),
    kvCache: kvCache && {
      typeK: parseWeightType(kvCache.typeK),
      typeV: parseWeightType(kvCache.typeV),
      contextLength: kvCache.contextLength,
    },
  };
}

/** True when the recipe's step calibrates. @throws {FormatError} when it is no recipe */
export async function isCalibratedRecipe(path: string): Promise<boolean> {
  const { passes } = await readRecipe(path);
  return passes.some(({ quantize }) => quantize?.calibrate !== undefined);
}

function refuseMore(request: CalibratedRequest, recipe: string): void {
  if (request.dryRun || request.saveRecipe !== undefined) {
    const what = request.dryRun ? "A dry run" : "A recipe to write";
    throw new UsageError(`${what} has no meaning beside a recipe to follow, which says all that it would`, {
      hint: "Leave one of them out",
    });
  }
  const { calibrate, size, kvCache, table, minimize, effort, contextLength, parseSpecial, without, recover } = request;
  const more = [calibrate, size, kvCache, table, minimize, effort, contextLength, parseSpecial, without, recover];
  if (more.every((one) => one === undefined)) return;
  throw new UsageError("A recipe says all that is to be done, and more options are given", {
    hint: `Write them into "${recipe}", or leave the recipe out`,
  });
}

/** The path from the recipe's folder, with slashes on every system; as it is where there is none, as between drives. */
function besideRecipe(recipe: string, file: string): string {
  const path = relative(dirname(recipe), file);
  return isAbsolute(path) ? file : path.split(sep).join("/");
}
