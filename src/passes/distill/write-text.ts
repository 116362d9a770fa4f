// A model writes text to learn from: many sequences side by side, one token of each in a call, so that the weights are read
// once for all of them. Each lane is one sequence of the text: when a document ends, another begins in the same lane, and
// the last is cut where the sequence is full. What the model thought of each token is at hand as it writes.
import { EngineError } from "../../errors.js";
import type { Sequence } from "../../graph/token-batch.js";
import { LlamaContext } from "../../native/llama-context.js";
import type { LlamaModel } from "../../native/llama-model.js";
import { Random } from "../../support/random.js";
import { RowReader, emptyOpinions, keepLikeliest, keepState } from "./form-opinions.js";
import type { Opinions } from "./taught-text.js";

/** Lanes at once: speed levels off here, and the cache stays small. */
const LANES = 64;
/** Logits of one call. */
const LOGITS_BYTES_MAX = 256 << 20;

export interface WriteOptions {
  /** Tokens of a sequence. */
  length: number;
  /** Number of the first sequence: each has random numbers of its own. */
  first: number;
  /** Sequences to write. */
  count: number;
  /** What documents begin with, drawn by chance; by default with the vocabulary's first token of a text. */
  prompts?: readonly (readonly number[])[] | undefined;
  /** Of drawing tokens. */
  temperature: number;
  seed: number;
  threads: number;
  /** What is kept of the writer's own opinions. */
  opinions: { top: number; temperature: number; states?: boolean | undefined };
}

/** One sequence in the making. */
class Lane {
  readonly tokens: Int32Array;
  readonly documents: Int32Array;
  readonly targets: Int32Array;
  readonly weights: Float32Array;
  readonly opinions: Opinions;
  /** Tokens of the document so far. */
  #position = 0;
  #document = 0;
  #prompt: readonly number[] = [];
  readonly #random: Random;

  constructor(
    length: number,
    top: number,
    width: number,
    random: Random,
    readonly prompts: readonly (readonly number[])[],
  ) {
    this.tokens = new Int32Array(length);
    this.documents = new Int32Array(length);
    this.targets = new Int32Array(length);
    this.weights = new Float32Array(length);
    this.opinions = emptyOpinions(length, top, width);
    this.#random = random;
    this.#begin();
  }

  get position(): number {
    return this.#position;
  }

  /** Puts down the token of a place: the prompt's, or what was drawn last. @returns whether a document begins */
  place(at: number, drawn: number | undefined): boolean {
    const isNew = this.#position === 0;
    this.tokens[at] = this.#prompt[this.#position] ?? drawn!;
    this.documents[at] = this.#document;
    return isNew;
  }

  /** Draws the token that follows. @param probabilities [vocabulary] */
  draw(at: number, probabilities: Float32Array, isEnd: (token: number) => boolean): number {
    const given = this.#prompt[this.#position + 1];
    this.#position++;
    const token = given ?? drawFrom(probabilities, this.#random.next());
    this.targets[at] = token;
    this.weights[at] = given === undefined ? 1 : 0;
    if (given === undefined && isEnd(token)) this.#begin();
    return token;
  }

  #begin(): void {
    if (this.#position > 0) this.#document++;
    this.#position = 0;
    this.#prompt = this.prompts[this.#random.integer(this.prompts.length)]!;
  }
}

/**
 * Writes sequences.
 *
 * @param onSequence called with each in order, once it is full
 * @throws {EngineError} when the model has no first token and there are no prompts, or its logits are not numbers
 */
export async function writeText(
  model: LlamaModel,
  options: WriteOptions,
  onSequence: (sequence: Sequence, opinions: Opinions) => Promise<void>,
): Promise<void> {
  const { length, count, temperature, seed, threads, opinions } = options;
  const prompts = options.prompts ?? [firstTokens(model)];
  const rowsMax = Math.max(1, Math.floor(LOGITS_BYTES_MAX / (model.vocabularySize * 4)));
  const width = opinions.states ? model.embeddingLength : 0;
  const lanesMax = Math.min(LANES, count, rowsMax);
  using context = LlamaContext.create(model, {
    contextLength: length * lanesMax,
    batchSize: lanesMax,
    microBatchSize: lanesMax,
    sequencesMax: lanesMax,
    fullWindowCache: true,
    flashAttention: "off",
    embeddings: opinions.states ?? false,
    threads,
  });
  using reader = new RowReader(context);
  const batch = context.newBatch();
  const random = new Random(seed).fork("text");
  for (let start = 0; start < count; start += lanesMax) {
    const lanes = Array.from(
      { length: Math.min(lanesMax, count - start) },
      (_, i) => new Lane(length, opinions.top, width, random.fork(`sequence ${options.first + start + i}`), prompts),
    );
    const drawn: number[] = [];
    context.clearMemory();
    for (let at = 0; at < length; at++) {
      batch.clear();
      lanes.forEach((lane, i) => {
        if (lane.place(at, drawn[i])) context.removeSequence(i);
        batch.add(lane.tokens[at]!, lane.position, i, true);
      });
      context.decode(batch);
      const keep = (row: number, probabilities: Float32Array): void => {
        const { opinions: formed, targets } = lanes[row]!;
        keepLikeliest(probabilities, formed, at);
        formed.nats[at] = -Math.log(probabilities[targets[at]!]!);
        if (opinions.states) keepState(context.state(row), formed, at);
      };
      const draw = (row: number, probabilities: Float32Array): void => {
        if (!(probabilities[0]! >= 0)) throw notNumbers(model.path);
        drawn[row] = lanes[row]!.draw(
          at,
          probabilities,
          (token) => model.isEndOfGeneration(token) || token === model.bosToken,
        );
      };
      const isShared = temperature === opinions.temperature;
      reader.read(lanes.length, temperature, (row, probabilities) => {
        draw(row, probabilities);
        if (isShared) keep(row, probabilities);
      });
      if (!isShared) reader.read(lanes.length, opinions.temperature, keep);
    }
    for (const lane of lanes) await onSequence(lane, lane.opinions);
  }
}

/** BOS, or what stands between texts where a vocabulary has no BOS of its own. */
function firstTokens(model: LlamaModel): number[] {
  const token = model.bosToken >= 0 ? model.bosToken : model.eosToken;
  if (token < 0)
    throw new EngineError(`"${model.path}" has no token that begins a text`, { hint: "Give it prompts to go on from" });
  return [token];
}

/** @param share in [0, 1) */
function drawFrom(probabilities: Float32Array, share: number): number {
  let left = share;
  for (let token = 0; token < probabilities.length; token++) {
    left -= probabilities[token]!;
    if (left < 0) return token;
  }
  return probabilities.indexOf(Math.max(...probabilities)); // rounding left a little
}

function notNumbers(path: string): EngineError {
  return new EngineError(`"${path}" writes no text: its logits are not numbers`, {
    hint: "The weights may be damaged or overflow; run: pare inspect",
  });
}
