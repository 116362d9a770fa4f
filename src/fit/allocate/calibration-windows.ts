// The calibration text as windows: a few, spread over it, on which substitutions are measured, and the others, whose inputs
// make the Hessians. No token is in both.
import { cutWindows } from "../../calibrate/windows.js";
import { PareError } from "../../errors.js";
import { resolveContextLength } from "../../evaluate/text-windows.js";
import type { LlamaModel } from "../../native/llama-model.js";
import { formatCount } from "../../support/units.js";

export interface CalibrationWindows {
  contextLength: number;
  /** For Hessians, `contextLength` tokens each. */
  statistics: Int32Array[];
  /** For divergences, one after another. */
  measurement: Int32Array;
  /** Of `measurement`. */
  measurementWindows: number;
}

/** One window of so many is measured on where the text is short. */
const MEASURED_OF = 8;

/**
 * Cuts texts and deals the windows out.
 *
 * @param wanted tokens for each purpose, at most; where the text is short, an eighth of it is measured on
 * @throws {PareError} when the text has fewer than two windows
 */
export function dealWindows(
  model: LlamaModel,
  texts: readonly string[],
  wanted: { statisticsTokens: number; measureTokens: number },
  options: { contextLength?: number | undefined; parseSpecial?: boolean | undefined } = {},
): CalibrationWindows {
  const contextLength = resolveContextLength(model, options.contextLength);
  const parseSpecial = options.parseSpecial ?? false;
  const tokens = texts.map((text) => model.tokenize(text, { addSpecial: true, parseSpecial }));
  const start = model.addsBos ? { bos: model.bosToken } : {};
  const { windows } = cutWindows(tokens, contextLength, start);
  if (windows.length < 2) {
    throw new PareError(
      `Cannot calibrate: the text has ${formatCount(windows.length * contextLength)} tokens in whole windows, ${formatCount(2 * contextLength)} are needed`,
      { hint: "Give more text or a shorter --context" },
    );
  }
  const measured = Math.max(
    1,
    Math.min(Math.ceil(wanted.measureTokens / contextLength), Math.floor(windows.length / MEASURED_OF)),
  );
  const chosen = new Set(
    Array.from({ length: measured }, (_, i) => Math.floor(((i + 0.5) * windows.length) / measured)),
  );
  const rest = windows.filter((_, window) => !chosen.has(window));
  const statistics = spread(rest, Math.max(1, Math.floor(wanted.statisticsTokens / contextLength)));
  const measurement = new Int32Array(measured * contextLength);
  [...chosen].forEach((window, i) => measurement.set(windows[window]!, i * contextLength));
  return { contextLength, statistics, measurement, measurementWindows: measured };
}

/** Windows that a text must have so that so many are left for Hessians, however many are measured on. */
export function windowsFor(statistics: number): number {
  return statistics + Math.max(1, Math.floor((statistics - 1) / (MEASURED_OF - 1)));
}

/** So many of the items at even distances, or all. */
export function spread<Item>(items: readonly Item[], count: number): Item[] {
  if (items.length <= count) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.floor(((i + 0.5) * items.length) / count)]!);
}
