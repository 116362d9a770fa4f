// The engine's process: loads a model, takes requests in, and turns the batcher as long as there is something to do.
import { setImmediate as breath } from "node:timers/promises";

import { EngineError, PareError } from "../../errors.js";
import { Lanes } from "../../evaluate/lanes.js";
import { PromptTokenizer } from "../../evaluate/prompt-tokens.js";
import { openModel } from "../../model/open.js";
import { loadEngine } from "../../native/engine.js";
import type { JobContext } from "../../native/isolate.js";
import { LlamaModel } from "../../native/llama-model.js";
import { TokenCandidates } from "../../native/token-candidates.js";
import { Batcher } from "./batcher.js";
import { DraftPace } from "./draft-pace.js";
import { Drafter, requireSameTokens } from "./drafter.js";
import { EmbedQueue } from "./embed-queue.js";
import { Embedder } from "./embedder.js";
import { chooseParallel } from "./lane-memory.js";
import type { EmbedJob, EngineEvent, EngineInput, FromEngine, GenerateJob, PromptInput, ToEngine } from "./messages.js";
import { RunningAnswer } from "./running.js";

const CONTEXT_LENGTH_MAX = 4096; // unless asked for: a long-context model's whole cache may not fit

export async function run(input: EngineInput, context: JobContext): Promise<void> {
  using model = LlamaModel.load(loadEngine(), input.model, { repack: input.repack ?? true });
  const contextLength =
    input.contextLength ?? Math.min(model.contextLengthTrained || CONTEXT_LENGTH_MAX, CONTEXT_LENGTH_MAX);
  const count = input.parallel ?? (await parallelFor(model, contextLength));
  using lanes = new Lanes(model, {
    laneTokens: contextLength,
    count,
    threads: input.threads,
    flash: input.exact !== true,
    fast: input.fast,
  });
  using embedder = new Embedder(model, { contextLength, threads: input.threads });
  const emit = (message: FromEngine): void => context.emit(message);
  using draftModel = input.draft === undefined ? undefined : loadDraft(model, input.draft);
  using drafter = draftModel && new Drafter(draftModel, { contextLength, threads: input.threads });
  const pace = new DraftPace(input.alwaysDrafts);
  const batcher = new Batcher(
    lanes,
    (events, load) => emit({ kind: "events", events, load }),
    drafter && { drafter, pace },
  );
  const embeddings = new EmbedQueue(embedder, (event) => emit({ kind: "events", events: [event], load: batcher.load }));
  const desk = new Desk(model, { batcher, embeddings, contextLength, emit });
  emit({
    kind: "ready",
    model: {
      processId: process.pid,
      description: model.description,
      parameters: model.parameters,
      sizeBytes: model.sizeBytes,
      architecture: model.metadata("general.architecture") ?? "unknown",
      contextLength,
      embeddingLength: model.embeddingLength,
      parallel: lanes.count,
      kvCacheBytes: lanes.memory.kvCacheBytes,
      chatTemplate: model.chatTemplate,
    },
  });
  let wake: () => void = () => undefined;
  const listen = async (): Promise<void> => {
    for await (const message of context.messages() as AsyncIterable<ToEngine>) {
      desk.receive(message);
      wake();
    }
  };
  const work = async (): Promise<never> => {
    for (;;) {
      if (batcher.isIdle && embeddings.isIdle) await new Promise<void>((resolve) => (wake = resolve));
      batcher.turn();
      embeddings.turn(!batcher.isIdle);
      await breath(); // messages come in, events go out
    }
  };
  await Promise.race([listen(), work()]);
}

function loadDraft(model: LlamaModel, path: string): LlamaModel {
  const draft = LlamaModel.load(model.engine, path);
  requireSameTokens(model, draft);
  return draft;
}

async function parallelFor({ path, engine }: LlamaModel, contextLength: number): Promise<number> {
  await using file = await openModel(path);
  const onGpu = engine.backend !== "cpu";
  return chooseParallel(file.spec, { contextLength, onGpu, availableBytes: process.availableMemory() });
}

interface DeskSurroundings {
  batcher: Batcher;
  embeddings: EmbedQueue;
  contextLength: number;
  emit: (message: FromEngine) => void;
}

/** Takes requests in: tokens from texts, refusals where that is not possible. */
class Desk {
  readonly #model: LlamaModel;
  readonly #around: DeskSurroundings;
  readonly #tokenizer: PromptTokenizer;
  readonly #candidates: TokenCandidates;

  constructor(model: LlamaModel, around: DeskSurroundings) {
    this.#model = model;
    this.#around = around;
    this.#tokenizer = new PromptTokenizer(model);
    this.#candidates = new TokenCandidates(model.vocabularySize);
  }

  receive(message: ToEngine): void {
    if (message.kind === "cancel") return this.#cancel(message.id);
    try {
      if (message.kind === "embed") this.#embed(message);
      else this.#generate(message);
    } catch (error) {
      if (!(error instanceof PareError) || error instanceof EngineError) throw error;
      this.#tell({ id: message.id, kind: "refused", message: error.message, hint: error.hint });
    }
  }

  #generate(job: GenerateJob): void {
    const prompt = this.#tokensOf(job.prompt);
    const { contextLength, batcher } = this.#around;
    if (prompt.length === 0) {
      throw new PareError("The prompt is empty, and the vocabulary begins texts with no token of its own");
    }
    if (prompt.length >= contextLength) {
      throw new PareError(
        `The prompt has ${prompt.length} tokens, and the context of this model's server ${contextLength}`,
        {
          hint: "Send a shorter prompt, or start the server with a larger --context",
        },
      );
    }
    const around = { model: this.#model, candidates: this.#candidates, contextLength };
    batcher.add(new RunningAnswer(job, prompt, around));
  }

  #embed(job: EmbedJob): void {
    this.#around.embeddings.add(job, this.#tokensOf(job.input));
  }

  /** The batcher tells of the end of either. */
  #cancel(id: number): void {
    this.#around.embeddings.cancel(id);
    this.#around.batcher.cancel(id);
  }

  #tokensOf(prompt: PromptInput): readonly number[] {
    if (prompt.kind === "text") return this.#tokenizer.prompt(prompt.text);
    if (prompt.kind === "conversation") return this.#tokenizer.conversation(prompt.conversation, prompt.begun);
    const size = this.#model.vocabularySize;
    const stranger = prompt.tokens.find((token) => !(token >= 0 && token < size));
    if (stranger === undefined) return prompt.tokens;
    throw new PareError(`The prompt has a token ${stranger}, and the vocabulary ${size} tokens`);
  }

  #tell(event: EngineEvent): void {
    this.#around.emit({ kind: "events", events: [event], load: this.#around.batcher.load });
  }
}
