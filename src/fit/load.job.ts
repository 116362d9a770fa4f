// The measurement behind `measureLoad()`; runs in a child process.
import type { Load } from "../cost/cost.js";
import { percentilesOf } from "../cost/percentiles.js";
import { Lanes } from "../evaluate/lanes.js";
import { loadEngine } from "../native/engine.js";
import type { JobContext } from "../native/isolate.js";
import { LlamaModel } from "../native/llama-model.js";
import { argmax } from "../support/argmax.js";
import { Random } from "../support/random.js";
import type { LoadRequest } from "./measure-load.js";

const ROUNDS_MAX = 20;
const PIECE_TOKENS = 512;

export async function run(request: LoadRequest, job: JobContext): Promise<Load[]> {
  const { concurrencies, threads, secondsMax = 10 } = request;
  using model = LlamaModel.load(loadEngine(), request.model, { repack: true });
  const longest = model.contextLengthTrained || Infinity;
  const answerTokens = Math.min(request.answerTokens, Math.max(1, longest - 1));
  const promptTokens = Math.max(1, Math.min(request.promptTokens, longest - answerTokens));
  const loads: Load[] = [];
  for (const [index, concurrency] of concurrencies.entries()) {
    using lanes = new Lanes(model, {
      laneTokens: promptTokens + answerTokens,
      count: concurrency,
      threads,
      fast: true,
    });
    const random = new Random(request.seed ?? 0);
    new Clients(lanes, { promptTokens: Math.min(promptTokens, 8), answerTokens: 1, random }).round(); // to wake everything
    const clients = new Clients(lanes, { promptTokens, answerTokens, random });
    const start = performance.now();
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (round > 0 && performance.now() - start > secondsMax * 1000) break;
      clients.round();
      job.progress({ stage: "measuring latency", done: index, total: concurrencies.length, unit: "concurrencies" });
      await job.flush();
    }
    loads.push(clients.load());
  }
  return loads;
}

/** Clients that ask at once and wait for all. */
class Clients {
  readonly #lanes: Lanes;
  readonly #promptTokens: number;
  readonly #answerTokens: number;
  readonly #random: Random;
  readonly #first: number[] = [];
  readonly #between: number[] = [];
  #seconds = 0;

  constructor(lanes: Lanes, options: { promptTokens: number; answerTokens: number; random: Random }) {
    this.#lanes = lanes;
    this.#promptTokens = options.promptTokens;
    this.#answerTokens = options.answerTokens;
    this.#random = options.random;
  }

  /** Prompts are computed one after the other, as a server does; who has its first token goes on while others wait. */
  round(): void {
    const { model, count } = this.#lanes;
    const start = performance.now();
    const prompts = Array.from({ length: count }, () => this.#prompt(model.vocabularySize));
    const answers = Array.from({ length: count }, () => ({ tokens: 0, next: 0, at: start }));
    for (let lane = 0; lane < count; lane++) this.#lanes.clear(lane);
    let waiting = 0;
    const arrived = (lane: number, logits: Float32Array): void => {
      const answer = answers[lane]!;
      const now = performance.now();
      (answer.tokens === 0 ? this.#first : this.#between).push((now - answer.at) / 1000);
      Object.assign(answer, { tokens: answer.tokens + 1, next: argmax(logits), at: now });
    };
    for (;;) {
      if (waiting < count) {
        const logits = this.#lanes.prefillPiece(waiting, prompts[waiting]!, PIECE_TOKENS);
        if (logits) arrived(waiting++, logits);
      }
      const running = answers.flatMap(({ tokens, next }, lane) =>
        tokens > 0 && tokens < this.#answerTokens ? [{ lane, token: next }] : [],
      );
      if (running.length > 0) this.#lanes.step(running, (index, logits) => arrived(running[index]!.lane, logits));
      else if (waiting === count) break;
    }
    this.#seconds += (performance.now() - start) / 1000;
  }

  load(): Load {
    const requests = this.#first.length;
    return {
      concurrency: this.#lanes.count,
      requests,
      promptTokens: this.#promptTokens,
      answerTokens: this.#answerTokens,
      firstTokenSeconds: percentilesOf(this.#first),
      tokenSeconds: percentilesOf(this.#between.length > 0 ? this.#between : [0]),
      answerTokensPerSecond: (requests * this.#answerTokens) / this.#seconds,
      secondsPerRequest: this.#seconds / requests,
    };
  }

  #prompt(vocabularySize: number): number[] {
    return Array.from({ length: this.#promptTokens }, () => this.#random.integer(vocabularySize));
  }
}
