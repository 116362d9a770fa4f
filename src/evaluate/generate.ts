// Answers to many prompts at once. Each sequence has a lane; when one ends, the next prompt takes its place. An answer is
// the same, bit for bit, whatever runs beside it: lanes.ts says how.
import { performance } from "node:perf_hooks";

import type { LlamaModel } from "../native/llama-model.js";
import { AnswerText } from "./answer-text.js";
import type { Lanes } from "./lanes.js";
import { argmax } from "../support/argmax.js";
import type { Sampler } from "./sample.js";

export interface GenerateRequest {
  /** The prompt, with BOS and all. */
  tokens: readonly number[];
  /** Tokens of the answer at most. */
  maxTokens: number;
  /** Texts that end the answer. */
  stop?: readonly string[];
  /** The likeliest token by default. */
  sampler?: Sampler;
}

/**
 * Why an answer ended: the model ended it, a stop text came, it reached `maxTokens`, the context is full, or the model's
 * logits were no numbers.
 */
export type EndReason = "end" | "stop" | "length" | "context" | "not-a-number";

export interface Generated {
  text: string;
  reason: EndReason;
  promptTokens: number;
  /** Tokens of the answer; the one that ended it is not counted. */
  answerTokens: number;
  prefillMs: number;
  /** Time in decode calls that this answer was part of, with others beside it. */
  decodeMs: number;
}

export interface GenerateOptions {
  /** Sequences at once, at most the lanes there are. */
  parallel?: number | undefined;
  signal?: AbortSignal | undefined;
  /** Called when an answer is complete, in the order in which they are. */
  onAnswer?: (index: number, answer: Generated) => void;
}

/** An answer under way. */
interface Active {
  index: number;
  request: GenerateRequest;
  answer: AnswerText;
  next: number;
  position: number;
  answerTokens: number;
  prefillMs: number;
  decodeMs: number;
}

const BREATH_MS = 50; // how often events are let in: an abort, messages to the parent

/**
 * Generates an answer to each request.
 *
 * @returns answers in the order of the requests
 * @throws {EngineError} when the engine fails; the signal's reason when aborted
 */
export async function generate(
  lanes: Lanes,
  requests: readonly GenerateRequest[],
  options: GenerateOptions = {},
): Promise<Generated[]> {
  const parallel = Math.min(lanes.count, Math.max(1, options.parallel ?? lanes.count));
  const results: Generated[] = [];
  const active: Active[] = [];
  let queued = 0;
  let breathedAt = performance.now();
  const finish = (done: Active, reason: EndReason): void => {
    results[done.index] = generated(done, reason);
    options.onAnswer?.(done.index, results[done.index]!);
  };
  while (queued < requests.length || active.length > 0) {
    if (performance.now() - breathedAt > BREATH_MS) {
      await new Promise((resolve) => setImmediate(resolve));
      breathedAt = performance.now();
    }
    options.signal?.throwIfAborted();
    if (active.length < parallel && queued < requests.length) {
      const started = start(lanes, active.length, queued, requests[queued]!);
      queued++;
      if (started.end === undefined) active.push(started.active);
      else {
        lanes.clear(active.length);
        finish(started.active, started.end);
      }
      continue;
    }
    const ends = step(lanes, active);
    for (let lane = active.length - 1; lane >= 0; lane--) {
      if (ends[lane] === undefined) continue;
      finish(active[lane]!, ends[lane]!);
      vacate(lanes, active, lane);
    }
  }
  return results;
}

/** Computes a prompt in a free lane and picks the answer's first token. */
function start(
  lanes: Lanes,
  lane: number,
  index: number,
  request: GenerateRequest,
): { active: Active; end: EndReason | undefined } {
  const startedAt = performance.now();
  const logits = lanes.prefill(lane, request.tokens);
  const active: Active = {
    index,
    request,
    answer: new AnswerText(request.stop),
    next: -1,
    position: request.tokens.length,
    answerTokens: 0,
    prefillMs: performance.now() - startedAt,
    decodeMs: 0,
  };
  return { active, end: take(active, logits, lanes) };
}

/** One token more for every active lane. @returns by lane, why it ended, or undefined */
function step(lanes: Lanes, active: readonly Active[]): (EndReason | undefined)[] {
  const startedAt = performance.now();
  const ends: (EndReason | undefined)[] = [];
  lanes.step(
    active.map(({ next }, lane) => ({ lane, token: next })),
    (lane, logits) => {
      const one = active[lane]!;
      one.position++;
      ends[lane] = take(one, logits, lanes);
    },
  );
  const elapsedMs = performance.now() - startedAt;
  for (const one of active) one.decodeMs += elapsedMs;
  return ends;
}

/** Takes the next token from the logits into the answer. @returns why the answer ends with it, or undefined */
function take(one: Active, logits: Float32Array, lanes: Lanes): EndReason | undefined {
  const token = (one.request.sampler ?? argmax)(logits);
  if (Number.isNaN(logits[token]!)) return "not-a-number";
  if (lanes.model.isEndOfGeneration(token)) return "end";
  one.next = token;
  one.answerTokens++;
  one.answer.push(lanes.model.tokenBytes(token));
  if (one.answer.isStopped) return "stop";
  if (one.answerTokens >= one.request.maxTokens) return "length";
  return one.position >= contextEnd(lanes.model, lanes) ? "context" : undefined;
}

/** Beyond the length it was trained with, a model's answers mean little. */
function contextEnd(model: LlamaModel, lanes: Lanes): number {
  return Math.min(lanes.laneTokens, model.contextLengthTrained || Infinity);
}

/** Frees a lane; the last one moves there, as llama.cpp computes only neighbouring lanes in one go. */
function vacate(lanes: Lanes, active: Active[], lane: number): void {
  const last = active.length - 1;
  if (lane !== last) {
    lanes.copy(last, lane);
    active[lane] = active[last]!;
  }
  lanes.clear(last);
  active.pop();
}

function generated(one: Active, reason: EndReason): Generated {
  one.answer.end();
  const { answerTokens, prefillMs, decodeMs } = one;
  return { text: one.answer.text, reason, promptTokens: one.request.tokens.length, answerTokens, prefillMs, decodeMs };
}
