// Which lane a prompt is computed in, and what is there already. Only whole pages of prompts are used again: those were
// computed as they would be for the new prompt, bit for bit (lanes.ts), where tokens of an answer were not.
import { PAGE_TOKENS } from "../../evaluate/lanes.js";

const COPY_TOKENS_MIN = 2 * PAGE_TOKENS; // a copy moves a whole lane's cache
const REST_TOKENS_MIN = 8; // of a prompt, to be computed in any case

/** What is known of a lane. */
export interface LaneState {
  /** The prompt that was computed in it last, or is being computed. */
  prompt: readonly number[];
  /** Tokens of that prompt in the lane's cache now. */
  computed: number;
  isBusy: boolean;
  /** When it was last taken; the longest unused lane is given away first. */
  takenAt: number;
}

/** Where to compute a prompt: `kept` tokens of lane `source` are its beginning. */
export interface Placement {
  lane: number;
  source: number;
  kept: number;
}

/**
 * Finds a free lane for a prompt.
 *
 * @returns undefined while there is none, or while another lane is about to compute what this prompt begins with
 */
export function placePrompt(lanes: readonly LaneState[], prompt: readonly number[]): Placement | undefined {
  const free = lanes.flatMap(({ isBusy }, lane) => (isBusy ? [] : [lane]));
  if (free.length === 0) return undefined;
  const oldest = free.reduce((a, b) => (lanes[b]!.takenAt < lanes[a]!.takenAt ? b : a));
  let best = { source: oldest, kept: 0 };
  for (const [source, state] of lanes.entries()) {
    const common = sharedPages(state.prompt, prompt);
    const kept = Math.min(common, pagesOf(state.computed));
    const isBetter = kept > best.kept || (kept === best.kept && kept > 0 && !state.isBusy);
    if (isBetter) best = { source, kept };
  }
  for (const { prompt: other, isBusy, computed } of lanes) {
    if (!isBusy || computed >= other.length) continue;
    if (sharedPages(other, prompt) - best.kept >= COPY_TOKENS_MIN) return undefined; // soon there is more to use
  }
  if (lanes[best.source]!.isBusy && best.kept < COPY_TOKENS_MIN) best = { source: oldest, kept: 0 };
  return { lane: laneFor(lanes[best.source]!, best, oldest), ...best };
}

/** In the source itself, unless that is busy, or holds much more, which the next prompt of its conversation may want. */
function laneFor({ isBusy, computed }: LaneState, best: { source: number; kept: number }, oldest: number): number {
  const holdsMuchMore = best.kept >= COPY_TOKENS_MIN && computed > 2 * best.kept;
  return isBusy || holdsMuchMore ? oldest : best.source;
}

/** Tokens in whole pages that two prompts begin with, and that leave enough of the second to compute. */
export function sharedPages(held: readonly number[], wanted: readonly number[]): number {
  const most = Math.min(held.length, wanted.length - REST_TOKENS_MIN);
  let same = 0;
  while (same < most && held[same] === wanted[same]) same++;
  return pagesOf(same);
}

function pagesOf(tokens: number): number {
  return Math.floor(tokens / PAGE_TOKENS) * PAGE_TOKENS;
}
