// `fit` as users call it: with its page.
import type { Certificate } from "../fit/certificate.js";
import { fit as fitAndDraw } from "../fit/fit.js";
import type { FitRequestInput } from "../fit/request.js";
import type { RunOptions } from "../support/progress.js";
import { renderReport } from "./report.js";

/**
 * Finds the leanest model that fits a device and keeps the quality asked for, and writes it with its evidence.
 *
 * In `request.out`: `certificate.json` and `report.html` always, `model.gguf` and `recipe.yaml` only on ACCEPT. Killed and
 * called again with the same request, it goes on from its journal and comes to the same end.
 *
 * @returns the certificate; `EXIT_CODES[certificate.verdict]` is what the command exits with
 * @throws {UsageError} when the request can't be meant as written
 * @throws {FormatError} when a model, the task or the device file is unsound
 * @throws {PareError} when the task is too small to be split, or the output folder can't be written
 * @example
 * const certificate = await fit({ models: "model-f16.gguf", text: "heldout.txt", device: "laptop-8gb", keep: "98%", out: "lean" });
 */
export function fit(request: FitRequestInput, options: RunOptions = {}): Promise<Certificate> {
  return fitAndDraw(request, {
    ...options,
    drawReport: ({ certificate, ...detail }) => renderReport(certificate, detail),
  });
}
