// Texts that wait for their vectors. Between two steps of the answers under way one piece of one text is computed, so that neither
// keeps the other waiting for long.
import type { Embedder } from "./embedder.js";
import { FairQueue } from "./fair-queue.js";
import type { EmbedJob, EngineEvent } from "./messages.js";

const PIECE_TOKENS_BESIDE = 64; // while there are answers under way, as a prompt's piece is at least
const PIECE_TOKENS_ALONE = 512;

/** A text on its way to its vector. */
interface Waiting {
  job: EmbedJob;
  client: string;
  tokens: readonly number[];
}

/** Embeds one text after the other, those of clients in turn. */
export class EmbedQueue {
  readonly #embedder: Embedder;
  readonly #emit: (event: EngineEvent) => void;
  readonly #queue = new FairQueue<Waiting>();
  #current: Waiting | undefined;
  #lastClient = "";

  constructor(embedder: Embedder, emit: (event: EngineEvent) => void) {
    this.#embedder = embedder;
    this.#emit = emit;
  }

  get isIdle(): boolean {
    return !this.#current && this.#queue.size === 0;
  }

  /** @throws {PareError} when the text is empty or too long */
  add(job: EmbedJob, tokens: readonly number[]): void {
    this.#embedder.requireEmbeddable(tokens);
    this.#queue.add({ job, client: job.client, tokens });
  }

  /** Forgets a text, also one that is computed in part. */
  cancel(id: number): void {
    if (this.#current?.job.id === id) this.#current = undefined;
    const waiting = this.#queue.inTurn([]).find(({ job }) => job.id === id);
    if (waiting) this.#queue.remove(waiting);
  }

  /** Computes one piece. @param areAnswersUnderWay then it is a short one */
  turn(areAnswersUnderWay: boolean): void {
    if (!this.#current && !this.#beginNext()) return;
    const { job, tokens } = this.#current!;
    const values = this.#embedder.piece(areAnswersUnderWay ? PIECE_TOKENS_BESIDE : PIECE_TOKENS_ALONE);
    if (!values) return;
    this.#current = undefined;
    this.#emit({ id: job.id, kind: "embedded", values, tokens: tokens.length });
  }

  #beginNext(): boolean {
    const next = this.#queue.inTurn([{ client: this.#lastClient }])[0];
    if (!next) return false;
    this.#queue.remove(next);
    this.#current = next;
    this.#lastClient = next.client;
    this.#embedder.begin(next.tokens);
    return true;
  }
}
