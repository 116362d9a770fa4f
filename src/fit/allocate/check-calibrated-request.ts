// What is wrong with a request to quantize with calibration by itself, before a file is opened.
import { PareError, UsageError } from "../../errors.js";
import { isRemote } from "../../formats/gguf/bytes.js";
import { parseChoices } from "../../passes/quantize/parse-choices.js";
import { parseCacheBudget } from "./cache-budget.js";
import type { CalibratedRequest } from "./quantize-calibrated.js";
import { parseSizeTarget } from "./size-target.js";

/**
 * Checks paths alone, before a recipe or its files are read.
 *
 * @throws {UsageError} when there is no path to write to
 * @throws {PareError} when the model is not on this machine
 */
export function checkPaths({ input, output, dryRun }: CalibratedRequest): void {
  if (output === undefined && !dryRun) {
    throw new UsageError("No output path is given", { hint: "Name the file to write" });
  }
  if (isRemote(input)) throw new PareError(`Cannot measure weights of "${input}": download the file first`);
}

/** @throws {UsageError} when options are missing, or exclude each other */
export function checkRequest({ size, type, calibrate = [], ...request }: CalibratedRequest): void {
  if (calibrate.length === 0) {
    throw new UsageError("No text to calibrate on is given", { hint: "Add --calibrate text.txt" });
  }
  if ((size === undefined) === (type === undefined)) {
    throw new UsageError(
      size === undefined ? "Neither a size nor a type is given" : "A size and a type are given, one is wanted",
      { hint: "Add --size 4.2bpw, or --type q4_K_M" },
    );
  }
  if (request.dryRun && request.saveRecipe !== undefined) {
    throw new UsageError("A dry run makes no file that a recipe could be of", { hint: "Leave --save-recipe out" });
  }
  if (typeof request.kvCache === "string") parseCacheBudget(request.kvCache);
  if (request.table !== undefined && request.without?.includes("allocation")) {
    throw new UsageError("Without allocation nothing is measured, and a table of measurements is given", {
      hint: "Leave --table out, or --without allocation",
    });
  }
  if (size !== undefined) {
    if (parseSizeTarget(size).kind !== "device" || request.kvCache === undefined) return;
    throw new UsageError("A device is given, whose memory the KV cache shares, and room for a KV cache besides", {
      hint: "Leave --kv-cache out, or give the size in bytes",
    });
  }
  if (request.table !== undefined || request.minimize !== undefined) {
    throw new UsageError("Measurements and what to minimize matter only where types are chosen", {
      hint: "Add --size",
    });
  }
  parseChoices({ ...request, type: type! });
}
