// The learning rate over a run: a linear warm-up, then a cosine (Loshchilov and Hutter, 2016, arXiv:1608.03983) or a stable
// stretch with a decay at the end (Hu et al., 2024, arXiv:2404.06395, section 4).

export const SCHEDULES = ["cosine", "warmup-stable-decay", "constant"] as const;

export interface ScheduleSettings {
  kind: (typeof SCHEDULES)[number];
  /** The highest rate. */
  rate: number;
  /** Steps of the whole run. */
  steps: number;
  /** Steps in which the rate rises to the highest. */
  warmupSteps: number;
  /** Where the rate ends, as a share of the highest; 0.1 for a cosine, 0 for a decay. */
  finalShare: number;
  /** Share of the steps in which a stable rate decays. */
  decayShare: number;
}

/**
 * The rate of a step.
 *
 * @param step from 1 on
 */
export function learningRate(step: number, settings: ScheduleSettings): number {
  const { kind, rate, steps, warmupSteps, finalShare } = settings;
  if (step <= warmupSteps) return (rate * step) / warmupSteps;
  if (kind === "constant") return rate;
  const done = Math.min(1, (step - warmupSteps) / Math.max(1, steps - warmupSteps));
  if (kind === "cosine") return rate * (finalShare + ((1 - finalShare) * (1 + Math.cos(Math.PI * done))) / 2);
  const decaySteps = Math.max(1, Math.round(steps * settings.decayShare));
  const decayed = Math.max(0, Math.min(1, (step - (steps - decaySteps)) / decaySteps));
  return rate * (1 - (1 - finalShare) * decayed);
}
