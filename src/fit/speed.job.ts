// The measurement behind `measureSpeed()`; runs in a child process.
import { GGML_TYPES, type GgmlType } from "../formats/gguf/ggml-types.js";
import { physicalCores } from "../native/cores.js";
import { loadEngine } from "../native/engine.js";
import type { JobContext } from "../native/isolate.js";
import { LlamaContext } from "../native/llama-context.js";
import { LlamaModel } from "../native/llama-model.js";
import { isRearranged } from "../native/product-speed.js";
import type { TokenBatch } from "../native/token-batch.js";
import { Random } from "../support/random.js";
import { startEnergyMeter } from "./energy-meter.js";
import type { SpeedRequest, SpeedResult } from "./measure-speed.js";
import { median } from "./speed.js";

/** Enough to load weights into memory, to wake the threads and to have what runs in JavaScript compiled. */
const WARM_UP_DECODE_TOKENS = 64;
const TYPE_NAMES = Object.keys(GGML_TYPES) as GgmlType[];
const PREFILL = "measuring prefill";

export async function run(request: SpeedRequest, job: JobContext): Promise<SpeedResult> {
  const { repeats = 3, threads = physicalCores(), repack = true, greedy = false, secondsMax = 30 } = request;
  const engine = loadEngine();
  const emptyBytes = process.memoryUsage.rss();
  using model = LlamaModel.load(engine, request.model, { repack });
  using meter = request.meterEnergy ? startEnergyMeter({ onGpu: engine.backend !== "cpu" }) : undefined;
  // Positions past the trained length mean nothing to some models and end the process with others.
  const longest = model.contextLengthTrained || Infinity;
  const promptTokens = Math.min(request.promptTokens ?? 512, longest);
  const decodeTokens = Math.min(request.decodeTokens ?? 64, longest);
  using context = LlamaContext.create(model, {
    contextLength: Math.max(promptTokens, decodeTokens),
    batchSize: Math.max(promptTokens, 1),
    threads,
  });
  const pace = new Pacer(context, new Random(request.seed ?? 0), greedy);
  const start = performance.now();
  const joulesPerToken: number[] = [];
  const repeated = async (stage: string, seconds: number, measure: () => number): Promise<number[]> => {
    const samples: number[] = [];
    meter?.note();
    const from = Date.now();
    let tokens = 0;
    for (let repeat = 0; repeat < repeats; repeat++) {
      if (repeat > 0 && performance.now() - start > seconds * 1000) break;
      samples.push(measure());
      tokens += stage === PREFILL ? promptTokens : decodeTokens;
      job.progress({ stage, done: repeat + 1, total: repeats, unit: "repeats" });
      await job.flush();
    }
    const until = Date.now();
    meter?.note();
    joulesPerToken.push((meter?.joulesBetween(from, until) ?? NaN) / tokens);
    return samples;
  };
  pace.prefill(promptTokens);
  const prefillSamples = await repeated(PREFILL, secondsMax / 2, () => promptTokens / pace.prefill(promptTokens));
  // After a prompt the engine plans its graph anew: once per answer, which is no part of a token's time.
  pace.decode(Math.min(decodeTokens, WARM_UP_DECODE_TOKENS));
  const decodeSamples = await repeated("measuring decode", secondsMax, () => decodeTokens / pace.decode(decodeTokens));
  const residentBytes = process.memoryUsage.rss();
  const [prefillJoulesPerToken, decodeJoulesPerToken] = joulesPerToken as [number, number];
  return {
    memory: {
      emptyBytes,
      residentBytes,
      modelBytes: model.sizeBytes,
      rearrangedTypes: repack ? TYPE_NAMES.filter((type) => isRearranged(engine, type)) : [],
      ...context.memory,
    },
    ...(meter && prefillJoulesPerToken > 0 && decodeJoulesPerToken > 0
      ? { energy: { source: meter.source, prefillJoulesPerToken, decodeJoulesPerToken } }
      : {}),
    prefillTokensPerSecond: median(prefillSamples),
    decodeTokensPerSecond: median(decodeSamples),
    prefillSamples,
    decodeSamples,
    promptTokens,
    decodeTokens,
    threads,
    repack,
  };
}

/** Runs prompts and continuations from an empty cache and returns their seconds. */
class Pacer {
  readonly #context: LlamaContext;
  readonly #random: Random;
  readonly #greedy: boolean;
  readonly #batch: TokenBatch;

  constructor(context: LlamaContext, random: Random, greedy: boolean) {
    this.#context = context;
    this.#random = random;
    this.#greedy = greedy;
    this.#batch = context.newBatch();
  }

  /** One call with `count` random tokens; only the last asks for logits. */
  prefill(count: number): number {
    this.#context.clearMemory();
    this.#batch.clear();
    for (let position = 0; position < count; position++) {
      this.#batch.add(this.#randomToken(position), position, 0, position === count - 1);
    }
    return this.#timed();
  }

  /** `count` calls with one token each. */
  decode(count: number): number {
    this.#context.clearMemory();
    let seconds = 0;
    let token = this.#randomToken(0);
    for (let position = 0; position < count; position++) {
      this.#batch.clear();
      this.#batch.add(token, position, 0, true);
      seconds += this.#timed();
      if (!this.#greedy) token = this.#randomToken(position + 1);
      else {
        const start = performance.now();
        token = this.#context.argmax(0);
        seconds += (performance.now() - start) / 1000;
      }
    }
    return seconds;
  }

  #timed(): number {
    const start = performance.now();
    this.#context.decode(this.#batch);
    this.#context.synchronize();
    return (performance.now() - start) / 1000;
  }

  #randomToken(position: number): number {
    const { model } = this.#context;
    if (position === 0 && model.addsBos && model.bosToken >= 0) return model.bosToken;
    return this.#random.integer(model.vocabularySize);
  }
}
