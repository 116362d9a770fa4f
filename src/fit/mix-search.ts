// The search among mixes of one model. All come from one table of measurements, so the more bytes one has the closer it is:
// there is no front to find, and halving between the sizes finds the cheapest that clears the bar. Making a mix takes long, so it is
// made when its turn comes; one that diverges hopelessly costs no trial.
//
// That is a choice like any other, on the selection part alone: however many sizes it looks at, the confirmation part has seen
// none of them, and the chance of a wrong ACCEPT stays what its tries make it.
import type { Judgement } from "./bar.js";
import type { PlannedCandidate } from "./candidates.js";
import { SearchState, isHopeless } from "./search.js";

export class MixSearch extends SearchState {
  override async explore(): Promise<void> {
    const mixes = this.byCost.filter((one) => !this.dropped.has(one));
    const { mixTries } = this.question.plan;
    let low = -1;
    let high = mixes.length;
    for (let tries = 0; high - low > 1 && tries < mixTries; tries++) {
      const middle = (low + high) >> 1;
      const judgement = await this.#tryOut(mixes[middle]!);
      if (judgement === undefined) break;
      if (judgement === "clears") high = middle;
      else low = middle;
    }
    const [below, clearing] = [mixes[low], mixes[high]];
    if (below) this.drop((one) => mixes.indexOf(one) < low, `a larger mix, ${below.name}, does not clear the bar`);
    if (clearing) this.drop((one) => mixes.indexOf(one) > high, `a smaller mix, ${clearing.name}, clears the bar`);
  }

  /** The largest: where it fails, no other is to be expected to clear. */
  override get head(): PlannedCandidate {
    return this.byCost.at(-1)!;
  }

  async #tryOut(mix: PlannedCandidate): Promise<Judgement | undefined> {
    const screening = await this.screen(mix);
    if (screening && isHopeless(screening, this.question)) return "fails";
    return this.select(mix);
  }
}
