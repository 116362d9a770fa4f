// llama.cpp's samplers: a chain that chooses a token from logits, and a grammar that says which tokens are possible.
import { EngineError, PareError } from "../errors.js";
import { NativeHandle } from "./handle.js";
import type { LlamaModel } from "./llama-model.js";
import type { TokenCandidates } from "./token-candidates.js";

/** What a chain is made of, in llama.cpp's order; 1, or 0 for the sums, switches a penalty off. */
export interface ChainOptions {
  /** 0 always takes the likeliest. */
  temperature: number;
  topK: number;
  topP: number;
  minP: number;
  seed: number;
  /** Divides the logits of tokens that came before. */
  repeatPenalty: number;
  /** Taken from a token's logit for every time that it came before. */
  frequencyPenalty: number;
  /** Taken from the logit of every token that came before. */
  presencePenalty: number;
  /** Tokens that penalties look back; -1 is all. */
  penaltyTokens: number;
  /** Added to tokens' logits. */
  logitBias: readonly (readonly [token: number, bias: number])[];
}

const LOOK_BACK_MAX = 1 << 16; // llama.cpp keeps a ring of this many tokens

abstract class Sampler extends NativeHandle {
  protected readonly model: LlamaModel;

  protected constructor(model: LlamaModel, pointer: bigint) {
    super(pointer, (p) => model.engine.llama.llama_sampler_free(p));
    this.model = model;
  }

  /** Takes note of a token of the answer. */
  accept(token: number): void {
    this.model.engine.llama.llama_sampler_accept(this.pointer, token);
  }

  protected apply(candidates: bigint): void {
    this.model.engine.llama.llama_sampler_apply(this.pointer, candidates);
  }
}

/** Logit bias, penalties, top-k, top-p, min-p, temperature, and a draw. */
export class SamplerChain extends Sampler {
  static create(model: LlamaModel, options: ChainOptions): SamplerChain {
    const { llama } = model.engine;
    const pointer = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params());
    if (pointer === null) throw new EngineError("Cannot make a sampler");
    const add = (sampler: bigint | null): void => {
      if (sampler === null) throw new EngineError("Cannot make a sampler");
      llama.llama_sampler_chain_add(pointer, sampler); // the chain frees it
    };
    const chain = new SamplerChain(model, pointer);
    if (options.logitBias.length > 0) add(logitBias(model, options.logitBias));
    if (isPenalizing(options)) add(penalties(model, options));
    if (options.temperature === 0) {
      add(llama.llama_sampler_init_greedy());
      return chain;
    }
    if (options.topK > 0) add(llama.llama_sampler_init_top_k(options.topK));
    if (options.topP < 1) add(llama.llama_sampler_init_top_p(options.topP, 1));
    if (options.minP > 0) add(llama.llama_sampler_init_min_p(options.minP, 1));
    add(llama.llama_sampler_init_temp(options.temperature));
    add(llama.llama_sampler_init_dist(options.seed));
    return chain;
  }

  /** @param candidates an address from `TokenCandidates` */
  choose(candidates: bigint): void {
    this.apply(candidates);
  }
}

/** Which tokens a GBNF grammar allows next. */
export class GrammarSampler extends Sampler {
  /** @throws {PareError} when llama.cpp can't read the grammar */
  static create(model: LlamaModel, grammar: string): GrammarSampler {
    const { llama, log } = model.engine;
    log.clear();
    const pointer = llama.llama_sampler_init_grammar(model.vocabulary, grammar, "root");
    if (pointer !== null) return new GrammarSampler(model, pointer);
    throw new PareError(`Cannot read the grammar: ${log.recent().at(-1) ?? "no reason given"}`);
  }

  allows(token: number, candidates: TokenCandidates): boolean {
    this.apply(candidates.fillOne(token));
    return candidates.isFirstPossible;
  }

  /** Makes the tokens that are not allowed impossible. */
  restrict(candidates: bigint): void {
    this.apply(candidates);
  }
}

/** True where the chain would only take the likeliest token. */
export function isPlainGreedy(options: ChainOptions): boolean {
  return options.temperature === 0 && options.logitBias.length === 0 && !isPenalizing(options);
}

function isPenalizing({ repeatPenalty, frequencyPenalty, presencePenalty }: ChainOptions): boolean {
  return repeatPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0;
}

function penalties({ engine, vocabularySize }: LlamaModel, options: ChainOptions): bigint | null {
  const lookBack = options.penaltyTokens < 0 ? LOOK_BACK_MAX : options.penaltyTokens;
  const { repeatPenalty, frequencyPenalty, presencePenalty } = options;
  return engine.llama.llama_sampler_init_penalties(
    vocabularySize,
    lookBack,
    repeatPenalty,
    frequencyPenalty,
    presencePenalty,
  );
}

function logitBias({ engine, vocabularySize }: LlamaModel, biases: ChainOptions["logitBias"]): bigint | null {
  const entries = new ArrayBuffer(biases.length * 8); // llama_logit_bias: token, bias
  const tokens = new Int32Array(entries);
  const values = new Float32Array(entries);
  biases.forEach(([token, bias], i) => {
    tokens[i * 2] = token;
    values[i * 2 + 1] = bias;
  });
  return engine.llama.llama_sampler_init_logit_bias(vocabularySize, biases.length, tokens);
}
