// An answer under way in a lane: chooses its tokens, joins them to text, and knows when it ends.
import { AnswerText } from "../../evaluate/answer-text.js";
import { ConfidenceMeter } from "../../evaluate/confidence.js";
import type { EndReason } from "../../evaluate/generate.js";
import { GrammarSampler, isPlainGreedy, SamplerChain } from "../../native/llama-sampler.js";
import type { LlamaModel } from "../../native/llama-model.js";
import type { TokenCandidates } from "../../native/token-candidates.js";
import { argmax } from "../../support/argmax.js";
import { scoreToken } from "./log-probabilities.js";
import { Utf8Gate } from "./utf8-gate.js";
import type { EngineEvent, GenerateJob, ScoredToken } from "./messages.js";

/** What all answers of an engine share. */
export interface AnswerSurroundings {
  model: LlamaModel;
  candidates: TokenCandidates;
  /** Tokens of prompt and answer at most. */
  contextLength: number;
}

/** One answer; it owns its samplers. */
export class RunningAnswer implements Disposable {
  readonly job: GenerateJob;
  readonly client: string;
  readonly prompt: readonly number[];
  /** The answer's tokens; the last is to be computed next. */
  readonly tokens: number[] = [];
  /** Tokens that a draft guessed, and those of them that were right. */
  readonly drafted = { draftTokens: 0, draftAccepted: 0 };
  readonly #around: AnswerSurroundings;
  readonly #chain: SamplerChain | undefined;
  readonly #grammar: GrammarSampler | undefined;
  readonly #answer: AnswerText;
  readonly #gate = new Utf8Gate();
  readonly #meter: ConfidenceMeter | undefined;
  #unsent = "";
  #unsentTokens: ScoredToken[] = [];

  /** @throws {PareError} when the grammar can't be read */
  constructor(job: GenerateJob, prompt: readonly number[], around: AnswerSurroundings) {
    this.job = job;
    this.client = job.client;
    this.prompt = prompt;
    this.#around = around;
    this.#answer = new AnswerText(job.stop);
    this.#meter = job.tellsConfidence ? new ConfidenceMeter() : undefined;
    this.#grammar = job.grammar === undefined ? undefined : GrammarSampler.create(around.model, job.grammar);
    const isPlain = isPlainGreedy(job.sampling) && !this.#grammar;
    this.#chain = isPlain ? undefined : SamplerChain.create(around.model, job.sampling);
  }

  /** The token to be computed next. */
  get next(): number {
    return this.tokens.at(-1) ?? -1;
  }

  /** Takes the next token from the logits into the answer. @returns why the answer ends with it, or undefined */
  take(logits: Float32Array): EndReason | undefined {
    if (this.job.maxTokens === 0) return "length";
    const token = this.#choose(logits);
    if (token === undefined || Number.isNaN(logits[token]!)) return "not-a-number";
    const { model, contextLength } = this.#around;
    this.#meter?.add(logits, token);
    this.#noteLikelihood(logits, token);
    if (model.isEndOfGeneration(token)) return "end";
    this.tokens.push(token);
    this.#unsent += this.#answer.push(model.tokenBytes(token, this.job.showsControl ?? false));
    if (this.#answer.isStopped) return "stop";
    if (this.tokens.length >= (this.job.maxTokens ?? Infinity)) return "length";
    return this.prompt.length + this.tokens.length > contextLength ? "context" : undefined;
  }

  /** Text that can be told now, if the request wants to hear it. */
  takeEvents(): EngineEvent[] {
    if (!this.job.streams || (this.#unsent === "" && this.#unsentTokens.length === 0)) return [];
    return [this.#textEvent()];
  }

  /** What remains to be told, and the end. */
  endEvents(reason: EndReason): EngineEvent[] {
    this.#unsent += this.#answer.end();
    const hasRest = this.#unsent !== "" || this.#unsentTokens.length > 0;
    const confidence = this.#meter?.confidence;
    const end: EngineEvent = {
      id: this.job.id,
      kind: "ended",
      reason,
      answerTokens: this.tokens.length,
      confidence,
      ...this.drafted,
    };
    return hasRest ? [this.#textEvent(), end] : [end];
  }

  #choose(logits: Float32Array): number | undefined {
    if (!this.#chain) return argmax(logits);
    const token = this.#grammar ? this.#chooseAllowed(logits, this.#grammar) : this.#draw(logits);
    if (token !== undefined) this.#chain.accept(token);
    return token;
  }

  #draw(
    logits: Float32Array,
    options: { grammar?: GrammarSampler; excluded?: readonly number[] } = {},
  ): number | undefined {
    const { candidates } = this.#around;
    const row = candidates.fill(logits);
    candidates.exclude(options.excluded ?? []);
    options.grammar?.restrict(row);
    this.#chain!.choose(row);
    return candidates.chosen;
  }

  /** The grammar is asked about a freely drawn token first: looking at the whole vocabulary takes far longer. */
  #chooseAllowed(logits: Float32Array, grammar: GrammarSampler): number | undefined {
    const { candidates, model } = this.#around;
    let token = this.#draw(logits);
    const isFine = token !== undefined && grammar.allows(token, candidates) && this.#keepsText(token);
    if (!isFine) token = this.#draw(logits, { grammar });
    if (token !== undefined && !this.#keepsText(token)) {
      token = this.#draw(logits, { grammar, excluded: this.#tokensThatSpoilText() });
    }
    if (token === undefined) return undefined;
    grammar.accept(token);
    this.#gate.take(model.tokenBytes(token, true));
    return token;
  }

  #tokensThatSpoilText(): number[] {
    const all = Array.from({ length: this.#around.model.vocabularySize }, (_, token) => token);
    return all.filter((token) => !this.#keepsText(token));
  }

  /** An end in the middle of a character would spoil it, too. */
  #keepsText(token: number): boolean {
    const { model } = this.#around;
    if (model.isEndOfGeneration(token)) return this.#gate.isBetweenCharacters;
    return this.#gate.accepts(model.tokenBytes(token, true));
  }

  #noteLikelihood(logits: Float32Array, token: number): void {
    const { logProbabilities } = this.job;
    const { model } = this.#around;
    if (logProbabilities === undefined || model.isEndOfGeneration(token)) return;
    this.#unsentTokens.push(scoreToken(model, logits, token, logProbabilities));
  }

  #textEvent(): EngineEvent {
    const event: EngineEvent = { id: this.job.id, kind: "text", text: this.#unsent, tokens: this.#unsentTokens };
    this.#unsent = "";
    this.#unsentTokens = [];
    return event;
  }

  [Symbol.dispose](): void {
    this.#chain?.[Symbol.dispose]();
    this.#grammar?.[Symbol.dispose]();
  }
}
