// Models to talk with, each in an engine of `pare serve`, started when somebody first talks to it; the two used last stay loaded.
import { createApp } from "../serve/app.js";
import { Engine } from "../serve/engine/engine.js";
import { ApiKeys } from "../serve/guard/api-keys.js";
import { Limits } from "../serve/guard/limits.js";
import { ModelSet } from "../serve/model-set.js";
import { Metrics } from "../serve/observe/metrics.js";

const LOADED_MAX = 2;

interface Loaded {
  engine: Engine;
  fetch: (request: Request) => Response | Promise<Response>;
}

export interface ChatModelsOptions {
  threads?: number | undefined;
  version: string;
}

export class ChatModels implements AsyncDisposable {
  readonly #loaded = new Map<string, Loaded>();
  readonly #options: ChatModelsOptions;

  constructor(options: ChatModelsOptions) {
    this.#options = options;
  }

  /** Answers a request of OpenAI's chat API with the model of a file. */
  async chat(path: string, request: Request): Promise<Response> {
    const { fetch } = this.#take(path);
    const url = new URL("/v1/chat/completions", request.url);
    return fetch(new Request(url, request));
  }

  #take(path: string): Loaded {
    const known = this.#loaded.get(path) ?? this.#start(path);
    this.#loaded.delete(path);
    this.#loaded.set(path, known); // the last used is the last to go
    for (const [other, { engine }] of [...this.#loaded].slice(0, -LOADED_MAX)) {
      this.#loaded.delete(other);
      void engine.close();
    }
    return known;
  }

  #start(path: string): Loaded {
    const { threads, version } = this.#options;
    const engine = new Engine({ model: path, threads });
    engine.ready.catch(() => undefined); // who asks is told
    const app = createApp({
      models: new ModelSet([{ name: "model", path }], () => engine),
      keys: new ApiKeys(),
      limits: new Limits(),
      metrics: new Metrics(),
      bodyBytes: 1e6,
      requestMs: 600_000,
      waitingMax: 16,
      logsBodies: false,
      version,
      allowedOrigins: [],
      isLoopback: true,
      log: () => undefined,
    });
    return { engine, fetch: (request) => app.fetch(request) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#loaded.values()].map(({ engine }) => engine.close()));
  }
}
