// What the server and an engine's process say to each other.
import type { EndReason } from "../../evaluate/generate.js";
import type { TemplateInput } from "../../evaluate/chat-template.js";
import type { ChainOptions } from "../../native/llama-sampler.js";

/** What the engine's process is started with. */
export interface EngineInput {
  /** Path of a GGUF file. */
  model: string;
  /** Tokens of one conversation at most; by default the model's trained length, at most 4096. */
  contextLength?: number | undefined;
  /** Answers at once; by default as many as memory allows, at most 16 on a CPU. */
  parallel?: number | undefined;
  threads?: number | undefined;
  repack?: boolean | undefined;
  /** Faster, at the price of answers that depend on what runs beside them; off by default. */
  fast?: boolean | undefined;
  /** Path of a smaller model that guesses tokens ahead. */
  draft?: string | undefined;
  /** Guess also where that was found to be slower: for measuring it. */
  alwaysDrafts?: boolean | undefined;
  /** No flash attention: slower, and without its one exception from answers being the same on several threads. */
  exact?: boolean | undefined;
}

/** What is known of a model once it is loaded. */
export interface LoadedModel {
  processId: number;
  description: string;
  parameters: number;
  sizeBytes: number;
  architecture: string;
  contextLength: number;
  embeddingLength: number;
  parallel: number;
  kvCacheBytes: number;
  chatTemplate: string | undefined;
}

/** A text, tokens, or a conversation for the model's template. */
export type PromptInput =
  | { kind: "text"; text: string }
  | { kind: "tokens"; tokens: readonly number[] }
  | { kind: "conversation"; conversation: TemplateInput; begun?: string | undefined };

export interface GenerateJob {
  kind: "generate";
  id: number;
  /** Whose request it is; answers are shared out fairly between clients. */
  client: string;
  prompt: PromptInput;
  /** Tokens of the answer at most; by default what the context has room for. */
  maxTokens?: number | undefined;
  stop: readonly string[];
  sampling: ChainOptions;
  /** GBNF that the answer keeps to. */
  grammar?: string | undefined;
  /** Alternatives to tell of each token; undefined tells no probabilities. */
  logProbabilities?: number | undefined;
  /** Also tell the prompt's tokens, with probabilities where those are wanted. */
  echo?: boolean | undefined;
  /** Tell at the end how sure the model was. */
  tellsConfidence?: boolean | undefined;
  /** Text of control tokens is part of the answer, as tool calls need it. */
  showsControl?: boolean | undefined;
  /** Text is told as it grows; otherwise all at the end. */
  streams: boolean;
}

export interface EmbedJob {
  kind: "embed";
  id: number;
  client: string;
  input: PromptInput;
}

export type ToEngine = GenerateJob | EmbedJob | { kind: "cancel"; id: number };

/** A token and how likely it was. */
export interface TokenLikelihood {
  token: number;
  /** What the token stands for, as bytes: a character may span several tokens. */
  bytes: Uint8Array;
  /** ln p; null for a text's first token, before which there is nothing. */
  logProbability: number | null;
}

/** A token with the likeliest ones in its place. */
export interface ScoredToken extends TokenLikelihood {
  alternatives: TokenLikelihood[];
}

/** Guesses of a draft model in an answer, and how many of them were right. */
export interface Drafted {
  draftTokens: number;
  draftAccepted: number;
}

/** What became of a request. */
export type EngineEvent = { id: number } & (
  | { kind: "started"; promptTokens: number; cachedTokens: number; echo?: { text: string; tokens: ScoredToken[] } }
  | { kind: "text"; text: string; tokens: ScoredToken[] }
  | ({ kind: "ended"; reason: EndReason; answerTokens: number; confidence?: number | undefined } & Drafted)
  | { kind: "embedded"; values: Float32Array; tokens: number }
  | { kind: "refused"; message: string; hint: string | undefined }
);

/** How busy the engine is. */
export interface EngineLoad {
  running: number;
  /** Tokens in the caches of running answers. */
  cacheTokens: number;
}

export type FromEngine =
  | { kind: "ready"; model: LoadedModel }
  | { kind: "events"; events: EngineEvent[]; load: EngineLoad };
