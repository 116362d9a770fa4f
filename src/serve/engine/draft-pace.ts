// Whether a draft pays. That depends on the model, the text and the machine: where a processor computes several rows in as many times
// the time of one, no guess can win. So both ways are timed, and the faster is taken; answers are the same either way.

const TRIAL_STEPS = 4; // of each way, at the start and every so often
const ROUND_STEPS = 128;
const KEPT = 0.8; // of what was known, when a step is noted

/** Milliseconds per token of both ways. */
export class DraftPace {
  readonly #alwaysDrafts: boolean;
  #steps = 0;
  #draftMs: number | undefined;
  #plainMs: number | undefined;

  /** @param alwaysDrafts times nothing */
  constructor(alwaysDrafts = false) {
    this.#alwaysDrafts = alwaysDrafts;
  }

  /** Whether the next step should have a draft. */
  get prefersDraft(): boolean {
    const step = this.#steps % ROUND_STEPS;
    if (this.#alwaysDrafts || step < TRIAL_STEPS || this.#draftMs === undefined) return true;
    if (step < 2 * TRIAL_STEPS || this.#plainMs === undefined) return false;
    return this.#draftMs < this.#plainMs;
  }

  /** Takes note of a step. @param tokens that it brought */
  note(way: "draft" | "plain", milliseconds: number, tokens: number): void {
    this.#steps++;
    const each = milliseconds / tokens;
    const blend = (before: number | undefined): number =>
      before === undefined ? each : KEPT * before + (1 - KEPT) * each;
    if (way === "draft") this.#draftMs = blend(this.#draftMs);
    else this.#plainMs = blend(this.#plainMs);
  }
}
