// What each level of effort spends, and on what. `bench/quality-per-bit` shows what it buys.
import type { Effort } from "../../passes/quantize/round/problem.js";

/** How a calibrated quantization spends its time. */
export interface EffortPlan {
  /** Tokens whose inputs make the Hessians of the final rounding. */
  statisticsTokens: number;
  /** Tokens whose inputs make those of the measurements. */
  surveyTokens: number;
  /** Tokens that no Hessian sees, on which the finished mix is measured. */
  measureTokens: number;
  /** Those of them on which a substitution is measured. */
  probeTokens: number;
  /** So many substitutions at most; where there are more tensors, some are left to what their layer and their kind suggest. */
  substitutions: number;
  /** Rows of a tensor whose rounding to each type shows its layer error. */
  sampleRows: number;
  /** Groups of layers at most, each measured in both models side by side before it is rounded; 0: the original is not looked at again. */
  driftGroups: number;
  /** Mixes next to the chosen one that are measured as a whole, at most. */
  mixTrials: number;
  /** How the final rows are rounded. */
  rounding: Effort;
  /** Steps of training after it at most, where that is asked for. */
  recoverySteps: number;
}

export const EFFORTS: Readonly<Record<Effort, EffortPlan>> = {
  fast: {
    statisticsTokens: 8192,
    surveyTokens: 4096,
    measureTokens: 512,
    probeTokens: 512,
    substitutions: 40,
    sampleRows: 16,
    driftGroups: 0,
    mixTrials: 0,
    rounding: "default",
    recoverySteps: 64,
  },
  default: {
    statisticsTokens: 32768,
    surveyTokens: 4096,
    measureTokens: 1024,
    probeTokens: 512,
    substitutions: 72,
    sampleRows: 16,
    driftGroups: 5,
    mixTrials: 0,
    rounding: "default",
    recoverySteps: 512,
  },
  high: {
    statisticsTokens: 131072,
    surveyTokens: 32768,
    measureTokens: 8192,
    probeTokens: 4096,
    substitutions: Infinity,
    sampleRows: 96,
    driftGroups: 8,
    mixTrials: 64,
    rounding: "high",
    recoverySteps: 1024,
  },
};

/** Weights times tokens that all substitutions together may cost: a minute or two of two cores. */
const SUBSTITUTION_WORK = 3.4e12;
/** Weights times tokens that all passes over the text for the drift may cost: some five minutes of two cores. */
const DRIFT_WORK = 2.2e13;
const DRIFT_GROUPS_MIN = 2;
/** Weights times steps of training, each of a thousand tokens: some ten minutes of two cores. */
const RECOVERY_WORK = 5e9;
const RECOVERY_STEPS_MIN = 24;
/** Fewer would leave layers and kinds unseen. */
const SUBSTITUTIONS_MIN = 32;

/**
 * Substitutions for a model: as many as the plan has, fewer of a large model, since each costs a pass over the text.
 *
 * @param parameters weights of the model
 */
export function substitutionsOf(plan: Pick<EffortPlan, "substitutions" | "probeTokens">, parameters: number): number {
  if (plan.substitutions === Infinity) return Infinity;
  const affordable = Math.floor(SUBSTITUTION_WORK / (plan.probeTokens * parameters));
  return Math.min(plan.substitutions, Math.max(SUBSTITUTIONS_MIN, affordable));
}

/**
 * Groups in which the drift of a model is followed: as many as the plan has, fewer of a large model, since each group costs a pass
 * of both models through all layers before its end.
 *
 * @param parameters weights of the model
 */
export function driftGroupsOf(
  plan: Pick<EffortPlan, "driftGroups" | "statisticsTokens" | "rounding">,
  parameters: number,
): number {
  if (plan.rounding === "high") return plan.driftGroups;
  // With g groups both models run through (g + 1) / 2 times all layers.
  const affordable = Math.floor(DRIFT_WORK / (plan.statisticsTokens * parameters)) - 1;
  return Math.min(plan.driftGroups, Math.max(DRIFT_GROUPS_MIN, affordable));
}

/**
 * Steps of training after the rounding: as many as the plan has, fewer of a large model.
 *
 * @param parameters weights of the model
 */
export function recoveryStepsOf(plan: Pick<EffortPlan, "recoverySteps" | "rounding">, parameters: number): number {
  if (plan.rounding === "high") return plan.recoverySteps;
  return Math.min(plan.recoverySteps, Math.max(RECOVERY_STEPS_MIN, Math.floor(RECOVERY_WORK / parameters)));
}
