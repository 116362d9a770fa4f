// Improves a chosen mix by measuring the whole of it: predictions add up what each tensor's rounding does alone, but errors
// of several layers also meet. Nearby mixes, best predicted first, are tried on a few windows of text, and those that look
// better on all of them. The first that is better by more than chance takes the mix's place, and its neighbours are next. Many
// are tried, so chance is held to one in twenty for all of them together (Student's t over windows, Bonferroni).
import { studentQuantile } from "../../evaluate/distributions.js";
import { meanEstimate } from "../../evaluate/statistics.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { ChooseTypesRequest } from "./choose-types.js";
import { nearbyMixes } from "./nearby-mixes.js";

export type TensorTypes = ReadonlyMap<string, GgmlType>;

export interface ImproveRequest {
  /** What the mix was chosen from. */
  problem: ChooseTypesRequest;
  types: TensorTypes;
  /** Mean divergence of each of the text's first windows with these types. */
  measure: (types: TensorTypes, windows: number) => Promise<Float64Array>;
  /** Numbers of windows to measure on, ascending: a mix that looks worse on a few is not tried on more. */
  budgets: readonly number[];
  /** Mixes to try at most. */
  trialsMax: number;
  onTrial?: (tried: number) => void;
}

export interface ImprovedMix {
  types: TensorTypes;
  /** Divergence that is predicted of it; absent where no other mix took the chosen one's place. */
  loss?: number;
  tried: number;
  /** How often another mix took the place of the one before. */
  taken: number;
}

/** Chance that any of all mixes that are tried is taken though it is no better. */
const CHANCE = 0.05;
/** With fewer windows nothing could be told from chance. */
const WINDOWS_MIN = 4;
/** Neighbours that are looked at around each mix. */
const NEIGHBOURS = 16;

/** A mix that is at least as good, as far as measuring tells, and no larger than the budget; with few windows the one that was given. */
export async function improveMix(request: ImproveRequest): Promise<ImprovedMix> {
  const { problem, measure, budgets, trialsMax } = request;
  const seen = new Set([keyOf(request.types)]);
  const best: ImprovedMix = { types: request.types, tried: 0, taken: 0 };
  const windows = budgets.at(-1)!;
  if (windows < WINDOWS_MIN || trialsMax === 0) return best;
  const errorsWanted = studentQuantile(1 - CHANCE / trialsMax, windows - 1);
  let own = await measure(best.types, windows);
  for (;;) {
    const next = nearbyMixes(problem, best.types, NEIGHBOURS).find(({ types }) => !seen.has(keyOf(types)));
    if (!next || best.tried >= trialsMax) return best;
    seen.add(keyOf(next.types));
    best.tried++;
    request.onTrial?.(best.tried);
    const others = await measureWhileBetter(request, next.types, { own, errorsWanted });
    if (!others) continue;
    [best.types, best.loss, own] = [next.types, next.loss, others];
    best.taken++;
  }
}

/** Means of all windows, or nothing as soon as a budget shows no gain. */
async function measureWhileBetter(
  { measure, budgets }: Pick<ImproveRequest, "measure" | "budgets">,
  types: TensorTypes,
  { own, errorsWanted }: { own: Float64Array; errorsWanted: number },
): Promise<Float64Array | undefined> {
  let means: Float64Array | undefined;
  for (const [i, windows] of budgets.entries()) {
    means = await measure(types, windows);
    const { value, standardError } = meanEstimate(means.map((mean, window) => mean - own[window]!));
    const isLast = i === budgets.length - 1;
    if (!(value + (isLast ? errorsWanted * standardError : 0) < 0)) return undefined;
  }
  return means;
}

function keyOf(types: TensorTypes): string {
  return [...types]
    .map(([name, type]) => `${name}=${type}`)
    .sort()
    .join();
}
