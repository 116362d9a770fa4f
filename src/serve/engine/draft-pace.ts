// Whether a draft pays. That depends on the model, the text and the machine: where a processor computes several rows in as many times
// the time of one, no guess can win. So both ways are timed, and the faster is taken; answers are the same either way.

const TRIAL_STEPS = 8; // of each way, at the start and every so often
const ROUND_STEPS = 128;
const KEPT = 0.9; // of what was known, when a step is noted

/** Time and tokens of one way, in which older steps count less: a sum of each, as a step of many tokens takes longer. */
class Tally {
  #milliseconds = 0;
  #tokens = 0;

  add(milliseconds: number, tokens: number): void {
    this.#milliseconds = KEPT * this.#milliseconds + milliseconds;
    this.#tokens = KEPT * this.#tokens + tokens;
  }

  /** Milliseconds per token; undefined before the first. */
  get pace(): number | undefined {
    return this.#tokens === 0 ? undefined : this.#milliseconds / this.#tokens;
  }
}

/** Which way is the faster. */
export class DraftPace {
  readonly #alwaysDrafts: boolean;
  readonly #tallies = { draft: new Tally(), plain: new Tally() };
  #steps = 0;

  /** @param alwaysDrafts times nothing */
  constructor(alwaysDrafts = false) {
    this.#alwaysDrafts = alwaysDrafts;
  }

  /** Whether the next step should have a draft. */
  get prefersDraft(): boolean {
    const step = this.#steps % ROUND_STEPS;
    const [draft, plain] = [this.#tallies.draft.pace, this.#tallies.plain.pace];
    if (this.#alwaysDrafts || step < TRIAL_STEPS || draft === undefined) return true;
    if (step < 2 * TRIAL_STEPS || plain === undefined) return false;
    return draft < plain;
  }

  /** Takes note of a step. @param tokens that it brought */
  note(way: "draft" | "plain", milliseconds: number, tokens: number): void {
    this.#steps++;
    this.#tallies[way].add(milliseconds, tokens);
  }
}
