// Continuous batching: requests come and go between two steps of the model. A turn lets waiting requests into free lanes,
// computes a piece of the prompts that have begun, and gives every answer under way one token.
import { performance } from "node:perf_hooks";

import type { EndReason } from "../../evaluate/generate.js";
import { CHUNK_OUTPUTS_MAX, type Lanes, pieceLength } from "../../evaluate/lanes.js";
import type { DraftPace } from "./draft-pace.js";
import type { Drafter } from "./drafter.js";
import { FairQueue } from "./fair-queue.js";
import { type LaneState, placePrompt } from "./lane-pages.js";
import { scoreToken } from "./log-probabilities.js";
import type { EngineEvent, EngineLoad, ScoredToken } from "./messages.js";
import type { RunningAnswer } from "./running.js";

// While prompts wait, the answers under way get a twentieth of the time: whoever waits for a first word waits for everything
// that is computed before, and all are done the sooner the more of them are stepped together.
const PREFILL_PER_STEP = 20;
const PREFILL_MS_MIN = 200; // steps of a small model are too short to be worth so many turns
const PREFILL_MS_MAX = 2000; // no answer stands still for longer
const PREFILL_TOKENS_MIN = 64;
const DRAFT_TOKENS = 5; // guessed at most; later ones are right too seldom
const PREFILL_TOKENS_MAX = 512;

/** An answer and its lane. */
interface Placed {
  answer: RunningAnswer;
  lane: number;
  /** The prompt's tokens and how likely they were, as far as it is computed; only where that was asked for. */
  scored?: ScoredToken[] | undefined;
}

/** The lanes of one engine and who is in them. */
export class Batcher {
  readonly #lanes: Lanes;
  readonly #emit: (events: EngineEvent[], load: EngineLoad) => void;
  readonly #queue = new FairQueue<RunningAnswer>();
  readonly #states: LaneState[];
  /** Prompts that are not computed wholly, the next first. */
  readonly #prefilling: Placed[] = [];
  /** Answers that get a token each turn, by lane. */
  #decoding: Placed[] = [];
  #events: EngineEvent[] = [];
  #prefillMsPerToken = 0;
  /** Time of the last step. */
  #stepMs = 0;
  #taken = 0;

  readonly #draft: { drafter: Drafter; pace: DraftPace } | undefined;

  /** @param draft guesses for an answer that is alone; with several, a step has rows enough */
  constructor(
    lanes: Lanes,
    emit: (events: EngineEvent[], load: EngineLoad) => void,
    draft?: { drafter: Drafter; pace: DraftPace },
  ) {
    this.#lanes = lanes;
    this.#emit = emit;
    this.#draft = draft;
    this.#states = Array.from({ length: lanes.count }, () => ({ prompt: [], computed: 0, isBusy: false, takenAt: 0 }));
  }

  get isIdle(): boolean {
    return this.#queue.size === 0 && this.#prefilling.length === 0 && this.#decoding.length === 0;
  }

  get load(): EngineLoad {
    const placed = [...this.#prefilling, ...this.#decoding];
    const cacheTokens = placed.reduce((sum, { lane }) => sum + this.#lanes.length(lane), 0);
    return { running: placed.length, cacheTokens };
  }

  /** The answer's first turn comes when a lane is free for it. */
  add(answer: RunningAnswer): void {
    this.#queue.add(answer);
  }

  /** Ends a request, wherever it is. One that has ended already is told to have ended once more. */
  cancel(id: number): void {
    const placed = [...this.#prefilling, ...this.#decoding].find(({ answer }) => answer.job.id === id);
    if (placed) return this.#finish(placed, "stop");
    const waiting = this.#queue.inTurn([]).find(({ job }) => job.id === id);
    if (waiting) this.#queue.remove(waiting);
    waiting?.[Symbol.dispose]();
    this.#events.push({ id, kind: "ended", reason: "stop", answerTokens: 0, draftTokens: 0, draftAccepted: 0 });
  }

  /** One turn. What came of it is emitted at its end. */
  turn(): void {
    this.#admit();
    this.#prefill();
    this.#step();
    this.#tell();
  }

  #tell(): void {
    for (const { answer } of this.#decoding) this.#events.push(...answer.takeEvents());
    const events = this.#events;
    this.#events = [];
    if (events.length > 0) this.#emit(events, this.load);
  }

  #admit(): void {
    if (this.#queue.size === 0) return;
    const running = [...this.#prefilling, ...this.#decoding].map(({ answer }) => answer);
    for (const answer of this.#queue.inTurn(running)) {
      if (this.#states.every(({ isBusy }) => isBusy)) return;
      const isScored = answer.job.echo === true && answer.job.logProbabilities !== undefined;
      const place = placePrompt(this.#reusable(), answer.prompt, this.#lanes.pieceTokensMin);
      if (!place) continue;
      this.#queue.remove(answer);
      this.#place(answer, isScored ? { ...place, kept: 0 } : place, isScored);
    }
  }

  #place(
    answer: RunningAnswer,
    { lane, source, kept }: { lane: number; source: number; kept: number },
    isScored: boolean,
  ) {
    const { prompt, job } = answer;
    if (kept > 0 && source !== lane) this.#lanes.copy(source, lane);
    const cachedTokens = this.#lanes.truncate(lane, kept);
    const shared = isScored ? [] : prompt; // scored in pieces of another length: of no use to others
    this.#states[lane] = { prompt: shared, computed: cachedTokens, isBusy: true, takenAt: ++this.#taken };
    this.#prefilling.push({ answer, lane, scored: isScored ? [] : undefined });
    if (isScored) return; // it is told to have started when there are scores to tell
    const echo = job.echo ? { echo: { text: this.#textOf(prompt), tokens: [] } } : {};
    this.#events.push({ id: job.id, kind: "started", promptTokens: prompt.length, cachedTokens, ...echo });
  }

  /** Models that can't forget a part of a sequence share nothing. */
  #reusable(): LaneState[] {
    if (this.#lanes.rows.canTruncate) return this.#states;
    return this.#states.map((state) => ({ ...state, prompt: [], computed: 0 }));
  }

  #textOf(tokens: readonly number[]): string {
    return this.#lanes.model.detokenize(tokens, { special: false });
  }

  /** Pieces in turn, as many as their time allows: long prompts hold up neither short ones nor answers under way for long. */
  #prefill(): void {
    let budget = this.#prefillBudget();
    while (this.#prefilling.length > 0 && budget >= PREFILL_TOKENS_MIN) {
      const placed = this.#prefilling.shift()!;
      const { lane, answer, scored } = placed;
      const before = this.#lanes.length(lane);
      const startedAt = performance.now();
      const logits = scored ? this.#scorePiece(placed, scored) : this.#lanes.prefillPiece(lane, answer.prompt, budget);
      const computed = this.#lanes.length(lane) - before;
      budget -= this.#spent(computed, performance.now() - startedAt, scored !== undefined);
      this.#states[lane]!.computed += computed;
      if (!logits) this.#prefilling.push(placed);
      else this.#begin(placed, logits);
      if (logits && this.#prefilling.length > 0) this.#tell(); // its first word need not wait for the others
    }
  }

  /** Computes the next piece of a prompt with every token's likelihood. @returns logits after the prompt, at its end */
  #scorePiece({ answer: { prompt, job }, lane }: Placed, scored: ScoredToken[]): Float32Array | undefined {
    const { model } = this.#lanes;
    const count = job.logProbabilities!;
    const from = this.#lanes.length(lane);
    const piece = prompt.slice(from, from + pieceLength(prompt.length - from, CHUNK_OUTPUTS_MAX));
    if (from === 0) scored.push(scoreToken(model, undefined, prompt[0]!, count));
    let last: Float32Array | undefined;
    this.#lanes.append(lane, piece, (i, logits) => {
      const next = prompt[from + i + 1];
      if (next === undefined) last = logits;
      else scored.push(scoreToken(model, logits, next, count));
    });
    if (!last) return undefined;
    const echo = { text: this.#textOf(prompt), tokens: scored };
    this.#events.push({ id: job.id, kind: "started", promptTokens: prompt.length, cachedTokens: 0, echo });
    return last;
  }

  #prefillBudget(): number {
    if (this.#decoding.length === 0 || this.#prefillMsPerToken === 0) return PREFILL_TOKENS_MAX;
    const milliseconds = Math.min(PREFILL_MS_MAX, Math.max(PREFILL_MS_MIN, PREFILL_PER_STEP * this.#stepMs));
    return Math.max(PREFILL_TOKENS_MIN, Math.floor(milliseconds / this.#prefillMsPerToken));
  }

  /** What a piece took of the budget, in tokens: one that is scored takes the time of several. */
  #spent(tokens: number, milliseconds: number, isScored: boolean): number {
    const known = this.#prefillMsPerToken;
    if (!isScored || known === 0) this.#noteSpeed(tokens, milliseconds);
    return isScored && known > 0 ? Math.max(tokens, milliseconds / known) : tokens;
  }

  #noteSpeed(tokens: number, milliseconds: number): void {
    if (tokens < PREFILL_TOKENS_MIN / 2) return;
    const before = this.#prefillMsPerToken || milliseconds / tokens;
    this.#prefillMsPerToken = 0.7 * before + 0.3 * (milliseconds / tokens);
  }

  /** The answer's first token comes with the prompt. */
  #begin(placed: Placed, logits: Float32Array): void {
    const end = placed.answer.take(logits);
    if (end === undefined) this.#decoding = [...this.#decoding, placed].sort((a, b) => a.lane - b.lane);
    else this.#finish(placed, end);
  }

  #step(): void {
    const placed = this.#decoding;
    if (placed.length === 0) return;
    const startedAt = performance.now();
    const pace = placed.length === 1 ? this.#draft?.pace : undefined;
    const way = pace?.prefersDraft ? "draft" : "plain";
    const isFirst = placed[0]!.answer.tokens.length === 1; // the draft reads the prompt, which says nothing of later steps
    const brought = way === "draft" ? this.#stepWithDraft(placed[0]!) : 0;
    if (brought > 0) return isFirst ? undefined : pace?.note(way, performance.now() - startedAt, brought);
    const ended: { one: Placed; reason: EndReason }[] = [];
    this.#lanes.step(
      placed.map(({ lane, answer }) => ({ lane, token: answer.next })),
      (i, logits) => {
        const reason = placed[i]!.answer.take(logits);
        if (reason !== undefined) ended.push({ one: placed[i]!, reason });
      },
    );
    this.#stepMs = performance.now() - startedAt;
    if (!isFirst) pace?.note(way, this.#stepMs, 1);
    for (const { one, reason } of ended) this.#finish(one, reason);
  }

  /** A step with guesses behind the token whose turn it is. @returns tokens that it brought; 0 where nothing was guessed */
  #stepWithDraft(placed: Placed): number {
    const { answer, lane } = placed;
    const { rows, laneTokens } = this.#lanes;
    const left = Math.min(
      laneTokens - this.#lanes.length(lane),
      (answer.job.maxTokens ?? Infinity) - answer.tokens.length,
    );
    const most = rows.canTruncate ? Math.min(DRAFT_TOKENS, rows.max - 1, left - 1) : 0;
    const guesses = this.#draft!.drafter.propose([answer.prompt, answer.tokens], most);
    if (guesses.length === 0 || guesses.length + 1 < rows.min) return 0;
    const before = answer.tokens.length;
    let reason: EndReason | undefined;
    this.#lanes.stepSeveral(lane, [answer.next, ...guesses], (i, logits) => {
      reason = answer.take(logits);
      const isRight = reason === undefined && answer.next === guesses[i];
      if (isRight) answer.drafted.draftAccepted++;
      return isRight;
    });
    answer.drafted.draftTokens += guesses.length;
    const brought = Math.max(1, answer.tokens.length - before);
    if (reason !== undefined) this.#finish(placed, reason);
    return brought;
  }

  #finish(placed: Placed, reason: EndReason): void {
    this.#decoding = this.#decoding.filter((one) => one !== placed);
    const at = this.#prefilling.indexOf(placed);
    if (at >= 0) this.#prefilling.splice(at, 1);
    this.#events.push(...placed.answer.endEvents(reason));
    this.#states[placed.lane]!.isBusy = false;
    placed.answer[Symbol.dispose]();
  }
}
