// An engine as the server sees it: a model in a process of its own. When that dies, the requests in it fail with an error that
// says so, another process is started, and the next requests are served there.
import { EngineError, PareError, messageOf } from "../../errors.js";
import { diagnosing } from "../../model/diagnose.js";
import { isolate } from "../../native/isolate.js";
import type { Backend } from "../../native/platform.js";
import type {
  EmbedJob,
  EngineEvent,
  EngineInput,
  EngineLoad,
  FromEngine,
  GenerateJob,
  LoadedModel,
  ToEngine,
} from "./messages.js";

export interface EngineOptions extends EngineInput {
  backend?: Backend | undefined;
  /** Told when the process has died, and how often that happened. */
  onDeath?: ((error: unknown, deaths: number) => void) | undefined;
  /** Told when a model is loaded, after a death too. */
  onReady?: ((model: LoadedModel) => void) | undefined;
}

/** The engine's process died, or can't be started. The request may be sent again. */
export class EngineUnavailable extends PareError {
  override readonly name = "EngineUnavailable";
}

/** The engine can't take this request as it is. */
export class RequestRefused extends PareError {
  override readonly name = "RequestRefused";
}

type Request = Omit<GenerateJob, "id"> | Omit<EmbedJob, "id">;

const RESTART_MS = [0, 500, 2000, 8000, 30_000]; // after so many deaths without an answer in between
const CANCEL_MS = 120_000; // for the engine to answer that it has ended a request; otherwise it hangs. One call of a large model takes a minute

/** A model that answers, through all deaths of its process. */
export class Engine {
  /** Where its model is. */
  readonly path: string;
  readonly #options: EngineOptions;
  readonly #closing = new AbortController();
  readonly #requests = new Map<number, Inbox>();
  #process: EngineProcess;
  #nextId = 1;
  #known: LoadedModel | undefined;
  #deaths = 0;
  #deathsInRow = 0;
  #load: EngineLoad = { running: 0, cacheTokens: 0 };

  constructor(options: EngineOptions) {
    this.path = options.model;
    this.#options = options;
    this.#process = this.#start();
  }

  /** Resolves when the model is loaded, in the process that is there now. */
  get ready(): Promise<LoadedModel> {
    return this.#process.ready;
  }

  /** What is known of the model since it was first loaded, whatever has become of the process. */
  get known(): LoadedModel | undefined {
    return this.#known;
  }

  /** What is known of the model, if its process is ready. */
  get model(): LoadedModel | undefined {
    return this.#process.model;
  }

  get deaths(): number {
    return this.#deaths;
  }

  /** Requests in the engine, those for which it has no lane, and tokens in use. */
  get load(): EngineLoad & { waiting: number } {
    const open = [...this.#requests.values()].filter(({ hasEnded }) => !hasEnded).length;
    return { ...this.#load, waiting: Math.max(0, open - (this.model?.parallel ?? 0)) };
  }

  /**
   * Sends a request and passes on what becomes of it, up to its end. Whoever stops listening ends it.
   *
   * @throws {RequestRefused} when the request can't be meant; {EngineUnavailable} when the engine died; the signal's reason
   */
  async *run(request: Request, signal?: AbortSignal): AsyncGenerator<EngineEvent> {
    signal?.throwIfAborted();
    const inbox = new Inbox();
    const abort = (): void => inbox.fail(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    const id = this.#nextId++;
    let process: EngineProcess | undefined;
    try {
      this.#requests.set(id, inbox); // it waits, and is counted, while the engine is started as well
      await Promise.race([this.ready, inbox.failed]);
      process = this.#process;
      process.post({ ...request, id } as ToEngine);
      for (;;) {
        const event = await inbox.next();
        if (event.kind === "refused") throw new RequestRefused(event.message, event.hint ? { hint: event.hint } : {});
        yield event;
        if (event.kind === "ended" || event.kind === "embedded") return;
      }
    } finally {
      signal?.removeEventListener("abort", abort);
      if (this.#requests.delete(id) && !inbox.hasEnded) process?.cancel(id);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#process.ended;
  }

  #start(): EngineProcess {
    const process = new EngineProcess(this.#options, this.#closing.signal, {
      onReady: (model) => {
        this.#known = model;
        this.#options.onReady?.(model);
      },
      onEvents: (events, load) => this.#deliver(events, load),
    });
    process.ended = process.ended.then((error) => this.#onDeath(error));
    return process;
  }

  #deliver(events: readonly EngineEvent[], load: EngineLoad): void {
    this.#load = load;
    for (const event of events) {
      this.#requests.get(event.id)?.push(event);
      if (event.kind !== "refused") this.#deathsInRow = 0;
    }
  }

  #onDeath(error: unknown): void {
    if (this.#closing.signal.aborted) return this.#failAll(new EngineUnavailable("The server is stopping"));
    this.#deaths++;
    const delayMs = RESTART_MS[Math.min(this.#deathsInRow++, RESTART_MS.length - 1)]!;
    this.#load = { running: 0, cacheTokens: 0 };
    this.#options.onDeath?.(error, this.#deaths);
    this.#failAll(unavailable(error));
    if (delayMs === 0) this.#process = this.#start();
    else setTimeout(() => (this.#process = this.#start()), delayMs).unref();
  }

  #failAll(error: unknown): void {
    for (const inbox of this.#requests.values()) inbox.fail(error);
    this.#requests.clear();
  }
}

function unavailable(error: unknown): EngineUnavailable {
  const log = error instanceof EngineError ? error.log.at(-1) : undefined;
  return new EngineUnavailable(`${messageOf(error)}${log ? ` (${log})` : ""}`, {
    hint: "The engine is started again; send the request once more",
    cause: error,
  });
}

/** One life of the engine. */
class EngineProcess {
  /** Rejects once the process has ended, even if it was ready before. */
  ready: Promise<LoadedModel>;
  /** Settles with what ended the process; never rejects. */
  ended: Promise<unknown>;
  model: LoadedModel | undefined;
  readonly #killing = new AbortController();
  readonly #cancelling = new Map<number, NodeJS.Timeout>();
  #send: (message: ToEngine) => void = () => undefined;

  constructor(
    { model: path, backend, ...rest }: EngineOptions,
    closing: AbortSignal,
    listener: { onReady(model: LoadedModel): void; onEvents(events: EngineEvent[], load: EngineLoad): void },
  ) {
    let resolveReady: (model: LoadedModel) => void;
    let rejectReady: (error: unknown) => void;
    this.ready = new Promise((resolve, reject) => {
      resolveReady = resolve;
      rejectReady = reject;
    });
    this.ready.catch(() => undefined); // whoever sends a request hears of it there
    const onEvent = (message: FromEngine): void => {
      if (message.kind === "events") {
        for (const { id, kind } of message.events) if (kind === "ended") this.#settleCancel(id);
        return listener.onEvents(message.events, message.load);
      }
      this.model = message.model;
      resolveReady(message.model);
      listener.onReady(message.model);
    };
    const { contextLength, parallel, threads, repack, fast, exact, draft, alwaysDrafts } = rest;
    const input: EngineInput = {
      model: path,
      contextLength,
      parallel,
      threads,
      repack,
      fast,
      exact,
      draft,
      alwaysDrafts,
    };
    this.ended = diagnosing([path], () =>
      isolate<EngineInput, void>("serve/engine/engine.job", input, {
        what: `serving "${path}"`,
        backend,
        signal: AbortSignal.any([closing, this.#killing.signal]),
        onStart: (send) => (this.#send = send),
        onEvent: (event) => onEvent(event as FromEngine),
      }),
    ).then(
      () => new EngineError("The engine ended"),
      (error: unknown) => error,
    );
    this.ended = this.ended.then((error) => {
      for (const timer of this.#cancelling.values()) clearTimeout(timer);
      rejectReady(unavailable(error));
      this.ready = Promise.reject(unavailable(error));
      this.ready.catch(() => undefined);
      this.model = undefined;
      return error;
    });
  }

  post(message: ToEngine): void {
    this.#send(message);
  }

  /** An engine that does not end a request in time hangs in native code, where only a kill helps. */
  cancel(id: number): void {
    this.#send({ kind: "cancel", id });
    const timer = setTimeout(() => this.#killing.abort(new EngineError("The engine hung and was stopped")), CANCEL_MS);
    this.#cancelling.set(id, timer.unref());
  }

  #settleCancel(id: number): void {
    clearTimeout(this.#cancelling.get(id));
    this.#cancelling.delete(id);
  }
}

/** Events of one request wait here until they are asked for. */
class Inbox {
  /** Rejects when the request fails; never resolves. */
  readonly failed: Promise<never>;
  hasEnded = false;
  readonly #events: EngineEvent[] = [];
  #reject!: (error: unknown) => void;
  #wake: () => void = () => undefined;
  #failure: { error: unknown } | undefined;

  constructor() {
    this.failed = new Promise((_, reject) => (this.#reject = reject));
    this.failed.catch(() => undefined);
  }

  push(event: EngineEvent): void {
    if (event.kind !== "started" && event.kind !== "text") this.hasEnded = true;
    this.#events.push(event);
    this.#wake();
  }

  fail(error: unknown): void {
    this.#failure = { error };
    this.#reject(error);
    this.#wake();
  }

  async next(): Promise<EngineEvent> {
    for (;;) {
      const event = this.#events.shift();
      if (event) return event;
      if (this.#failure) throw this.#failure.error;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
