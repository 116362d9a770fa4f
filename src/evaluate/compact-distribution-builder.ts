// Makes compact distributions (compact-distribution.ts) from rows of logits: chooses what is kept, samples the rest.
//
// Shapes: logits and probabilities are one row of [vocabulary].
import { CODES_PER_NAT, type CompactDistributions, REST_MIN, REST_SHARE, SAMPLES } from "./compact-distribution.js";

/** Entries kept at least, if so many weigh anything: a sure token still says how the others compare. */
const ENTRIES_MIN = 64;

const BUCKETS_PER_NAT = 16;
const BUCKETS = 512;

/** Collects compact distributions; made for one window and read out once. */
export class CompactDistributionsBuilder {
  #ids = new Int32Array(4096);
  #codes = new Uint16Array(4096);
  #size = 0;
  #count = 0;
  readonly #starts: Uint32Array;
  readonly #restMasses: Float64Array;
  readonly #sampleIds: Int32Array;
  readonly #sampleCodes: Uint16Array;
  readonly #topTokens: Int32Array;
  readonly #negativeLogLikelihoods: Float64Array;
  #heavy = new Int32Array(0);
  readonly #counts = new Uint32Array(BUCKETS);
  readonly #masses = new Float64Array(BUCKETS);

  constructor(distributions: number) {
    this.#starts = new Uint32Array(distributions + 1);
    this.#restMasses = new Float64Array(distributions);
    this.#sampleIds = new Int32Array(distributions * SAMPLES).fill(-1);
    this.#sampleCodes = new Uint16Array(distributions * SAMPLES);
    this.#topTokens = new Int32Array(distributions);
    this.#negativeLogLikelihoods = new Float64Array(distributions);
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Appends one distribution.
   *
   * @param probabilities softmax of `logits`
   * @param token the text's next token
   * @returns -ln p(token); NaN when the logits are not all numbers
   */
  append(logits: Float32Array, probabilities: Float32Array, token: number): number {
    const { count, mass: lightMass } = this.#heavyEntries(probabilities);
    if (count === 0) return this.#appendNotNumbers();
    const top = this.#topOfHeavy(logits, count);
    const highest = logits[top]!;
    const lowest = highest - this.#chooseDepth(logits, probabilities, highest, count);
    let restMass = lightMass;
    for (let k = 0; k < count; k++) {
      const id = this.#heavy[k]!;
      if (logits[id]! > lowest) this.#keep(id, highest - logits[id]!);
      else restMass += probabilities[id]!;
    }
    const index = this.#count++;
    this.#starts[index + 1] = this.#size;
    if (restMass >= REST_MIN) this.#sampleRest(index, restMass, highest, logits, probabilities);
    const negativeLogLikelihood = highest - logits[token]! - Math.log(probabilities[top]!);
    this.#restMasses[index] = restMass;
    this.#topTokens[index] = top;
    this.#negativeLogLikelihoods[index] = negativeLogLikelihood;
    return negativeLogLikelihood;
  }

  finish(): CompactDistributions {
    if (this.#count !== this.#restMasses.length) {
      throw new RangeError(`Cannot finish: ${this.#count} distributions of ${this.#restMasses.length} were appended`);
    }
    return {
      ids: this.#ids.slice(0, this.#size),
      codes: this.#codes.slice(0, this.#size),
      starts: this.#starts,
      restMasses: this.#restMasses,
      sampleIds: this.#sampleIds,
      sampleCodes: this.#sampleCodes,
      topTokens: this.#topTokens,
      negativeLogLikelihoods: this.#negativeLogLikelihoods,
    };
  }

  /**
   * Lists the entries that may have to be kept: the others, all together, weigh less than REST_SHARE / 2. The only pass over
   * the vocabulary besides the sampling one, so it does little per entry.
   *
   * @returns how many stand in `#heavy`, and the mass of the others
   */
  #heavyEntries(probabilities: Float32Array): { count: number; mass: number } {
    const length = probabilities.length;
    if (this.#heavy.length < length) this.#heavy = new Int32Array(length);
    const heavy = this.#heavy;
    const least = REST_SHARE / (2 * Math.max(length, 8192)); // a small vocabulary is kept whole
    let count = 0;
    let mass = 0;
    for (let id = 0; id < length; id++) {
      const probability = probabilities[id]!;
      if (probability > least) heavy[count++] = id;
      else mass += probability;
    }
    return { count, mass };
  }

  #topOfHeavy(logits: Float32Array, count: number): number {
    let top = this.#heavy[0]!;
    for (let k = 1; k < count; k++) {
      const id = this.#heavy[k]!;
      if (logits[id]! > logits[top]!) top = id;
    }
    return top;
  }

  /** How far below the top to keep, in nats: just so far that enough mass and entries lie above. */
  #chooseDepth(logits: Float32Array, probabilities: Float32Array, highest: number, count: number): number {
    const counts = this.#counts.fill(0);
    const masses = this.#masses.fill(0);
    for (let k = 0; k < count; k++) {
      const id = this.#heavy[k]!;
      const bucket = Math.min(BUCKETS - 1, ((highest - logits[id]!) * BUCKETS_PER_NAT) | 0);
      counts[bucket]!++;
      masses[bucket]! += probabilities[id]!;
    }
    let kept = 0;
    let mass = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      kept += counts[bucket]!;
      mass += masses[bucket]!;
      const isEnough = mass >= 1 - REST_SHARE && kept >= ENTRIES_MIN;
      if (isEnough) return (bucket + 1) / BUCKETS_PER_NAT;
    }
    return Infinity;
  }

  /** Walks the entries that were not kept and takes one wherever another SAMPLES-th of their mass is half full. */
  #sampleRest(
    index: number,
    restMass: number,
    highest: number,
    logits: Float32Array,
    probabilities: Float32Array,
  ): void {
    const step = restMass / SAMPLES;
    const end = (index + 1) * SAMPLES;
    let next = this.#starts[index]!;
    let sample = index * SAMPLES;
    let seen = 0;
    let wanted = step / 2;
    for (let id = 0; id < logits.length && sample < end; id++) {
      if (next < this.#size && id === this.#ids[next]) {
        next++;
        continue;
      }
      seen += probabilities[id]!;
      while (seen > wanted && sample < end) {
        this.#sampleIds[sample] = id;
        this.#sampleCodes[sample++] = codeOf(highest - logits[id]!);
        wanted += step;
      }
    }
  }

  #appendNotNumbers(): number {
    const index = this.#count++;
    this.#starts[index + 1] = this.#size;
    this.#negativeLogLikelihoods[index] = Number.NaN;
    return Number.NaN;
  }

  #keep(id: number, distance: number): void {
    if (this.#size === this.#ids.length) {
      const ids = new Int32Array(2 * this.#size);
      const codes = new Uint16Array(2 * this.#size);
      ids.set(this.#ids);
      codes.set(this.#codes);
      this.#ids = ids;
      this.#codes = codes;
    }
    this.#ids[this.#size] = id;
    this.#codes[this.#size] = codeOf(distance);
    this.#size++;
  }
}

function codeOf(distance: number): number {
  return Math.min(65_535, Math.round(distance * CODES_PER_NAT));
}
