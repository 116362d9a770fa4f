// Which lane a prompt is computed in, and what is there already. Only whole pages of prompts are used again: those were
// computed as they would be for the new prompt, bit for bit (lanes.ts), where tokens of an answer were not.
import { PAGE_TOKENS } from "../../evaluate/lanes.js";

const COPY_TOKENS_MIN = 16; // a copy moves a whole lane's cache, in the time of a few tokens
const WAIT_TOKENS_MIN = 64; // of a beginning that another prompt is about to compute

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
 * @param rest tokens of the prompt that are computed in any case: what a call takes at least
 * @returns undefined while there is none, or while another lane is about to compute what this prompt begins with
 */
export function placePrompt(
  lanes: readonly LaneState[],
  prompt: readonly number[],
  rest: number,
): Placement | undefined {
  const free = lanes.flatMap(({ isBusy }, lane) => (isBusy ? [] : [lane]));
  if (free.length === 0) return undefined;
  const oldest = free.reduce((a, b) => (lanes[b]!.takenAt < lanes[a]!.takenAt ? b : a));
  const keptOf = (lane: number): number =>
    Math.min(sharedPages(lanes[lane]!.prompt, prompt, rest), pagesOf(lanes[lane]!.computed));
  const ranked = [...lanes.keys()].map((lane) => ({ lane, kept: keptOf(lane), ...lanes[lane]! }));
  ranked.sort((a, b) => b.kept - a.kept || Number(a.isBusy) - Number(b.isBusy) || a.takenAt - b.takenAt);
  const best = ranked[0]!;
  for (const { prompt: other, isBusy, computed } of lanes) {
    if (!isBusy || computed >= other.length) continue;
    if (sharedPages(other, prompt, rest) - best.kept >= WAIT_TOKENS_MIN) return undefined; // soon there is more to use
  }
  const holdsMuchMore = best.computed > 2 * best.kept; // which the next prompt of its conversation may want
  if (best.kept > 0 && !best.isBusy && !holdsMuchMore) return { lane: best.lane, source: best.lane, kept: best.kept };
  if (best.kept >= COPY_TOKENS_MIN) return { lane: oldest, source: best.lane, kept: best.kept };
  return { lane: oldest, source: oldest, kept: keptOf(oldest) };
}

/**
 * Tokens in whole pages that two prompts begin with, and that leave `rest` tokens of the second to compute. A prompt shorter than
 * a call takes at least was computed by other kernels.
 */
export function sharedPages(held: readonly number[], wanted: readonly number[], rest: number): number {
  if (held.length < rest) return 0;
  const most = Math.min(held.length, wanted.length - rest);
  let same = 0;
  while (same < most && held[same] === wanted[same]) same++;
  return pagesOf(same);
}

function pagesOf(tokens: number): number {
  return Math.floor(tokens / PAGE_TOKENS) * PAGE_TOKENS;
}
