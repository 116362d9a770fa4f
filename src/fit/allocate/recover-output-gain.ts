// What is fitted again after rounding: one factor on the norm before the output matrix. Rounding adds noise to the last
// layer's output, and with noise a model does best to be a little less sure: the factor is a temperature that the file keeps.
//
// It is one number because more do harm. Whole norms fitted to the layers' outputs move by half a percent and change
// nothing, since error feedback has left no error along the inputs; a gain for each norm, or the output norm's every weight,
// fitted by divergence, learns the calibration text by heart.
import { meanEstimate } from "../../evaluate/statistics.js";
import type { Divergence } from "./divergence-meter.js";
import type { RealModel } from "./real-model.js";
import type { WeightLab } from "./weight-lab.js";

/** The norm behind the last layer; a model that has none by this name is left as it is. */
export const OUTPUT_NORM = "output_norm.weight";

/** Distance of the first look to both sides: farther than noise, near enough for a parabola. */
const STEP = 0.03;
/** Beyond it something else is wrong. */
const CHANGE_MAX = 0.08;

/** A gain and what the model is with it. */
export interface GainFit<Measured> {
  /** 1 where no other is better. */
  gain: number;
  measured: Measured;
}

/**
 * The gain with the least divergence: the vertex of a parabola through three measurements, measured too. Another than 1 is
 * taken only if it is better by more than a standard error of the difference, window by window.
 *
 * @param measure what a gain leads to, always on the same windows
 */
export function fitGain<Measured extends Pick<Divergence, "mean" | "windowMeans">>(
  measure: (gain: number) => Measured,
): GainFit<Measured> {
  const start = { gain: 1, measured: measure(1) };
  const [below, above] = [1 - STEP, 1 + STEP].map((gain) => ({ gain, measured: measure(gain) })) as [
    GainFit<Measured>,
    GainFit<Measured>,
  ];
  const tried = [below, above];
  const change = vertex(below.measured.mean, start.measured.mean, above.measured.mean);
  if (change !== 0) tried.push({ gain: 1 + change, measured: measure(1 + change) });
  const best = tried.reduce((a, b) => (b.measured.mean < a.measured.mean ? b : a));
  return isBetter(best.measured, start.measured) ? best : start;
}

/**
 * Fits the gain of a rounded model's output norm, and leaves the model with the better one.
 *
 * @returns the norm's bytes as the file is to have them, where they change
 */
export function recoverOutputGain(lab: WeightLab, real: RealModel): { bytes?: Uint8Array; divergence: Divergence } {
  if (lab.source.tensors.get(OUTPUT_NORM)?.type !== "f32") return { divergence: real.divergence() };
  const values = lab.originalValues(OUTPUT_NORM);
  const scaled = (gain: number) => new Uint8Array(values.map((value) => value * gain).buffer);
  const { gain, measured } = fitGain((tried) => {
    real.replace(OUTPUT_NORM, scaled(tried));
    return real.divergence();
  });
  const bytes = scaled(gain);
  real.replace(OUTPUT_NORM, bytes);
  return { divergence: measured, ...(gain !== 1 && { bytes }) };
}

/** Where the parabola through (−STEP, below), (0, middle), (STEP, above) is least. */
function vertex(below: number, middle: number, above: number): number {
  const curvature = below + above - 2 * middle;
  const change = (STEP * (below - above)) / (2 * curvature);
  if (curvature > 0) return Math.max(-CHANGE_MAX, Math.min(CHANGE_MAX, change));
  return below < above ? -CHANGE_MAX : CHANGE_MAX;
}

function isBetter(a: Pick<Divergence, "windowMeans">, b: Pick<Divergence, "windowMeans">): boolean {
  const { value, standardError } = meanEstimate(a.windowMeans.map((mean, window) => mean - b.windowMeans[window]!));
  return value + (Number.isNaN(standardError) ? 0 : standardError) < 0; // a single window has no error
}
