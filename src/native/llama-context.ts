// A model at work: KV cache, batches in, logits out.
import { EngineError } from "../errors.js";
import { argmax } from "../support/argmax.js";
import type { LlamaFunctions } from "./bindings.js";
import { physicalCores } from "./cores.js";
import { viewBytes } from "./engine.js";
import { requireType } from "./ggml.js";
import { NativeHandle } from "./handle.js";
import type { LlamaModel } from "./llama-model.js";
import { type Observer, ObserverCallback } from "./observe.js";
import { ThreadPool } from "./thread-pool.js";
import { TokenBatch } from "./token-batch.js";

export interface ContextOptions {
  /** Tokens of the KV cache over all sequences; 0 takes the model's trained length. */
  contextLength?: number;
  /** Most tokens in one decode call. */
  batchSize?: number;
  /** Most tokens computed at once. */
  microBatchSize?: number;
  /** Most sequences at once; each has contextLength / sequencesMax tokens unless `unifiedCache`. */
  sequencesMax?: number;
  threads?: number;
  /** Threads shared with whoever computes in turn with this context; by default it has its own. */
  threadPool?: ThreadPool | undefined;
  /** `off` for parity and for answers that don't depend on the batch; `auto` for speed. */
  flashAttention?: "auto" | "on" | "off";
  /** KV-cache types in ggml's spelling; f16 by default. */
  typeK?: string;
  typeV?: string;
  /** One cache for all sequences instead of one stream each. */
  unifiedCache?: boolean;
  /** Keep the whole context also in layers with a sliding window, so that any position can be gone back to. */
  fullWindowCache?: boolean;
  /** Most logits rows in one decode call; 0 allows as many as the batch has tokens. */
  outputsMax?: number;
  observer?: Observer;
  /** Return hidden states instead of logits. */
  embeddings?: boolean;
}

/** Bytes that llama.cpp says it allocated for a context. */
export interface ContextMemory {
  kvCacheBytes: number;
  computeBytes: number;
  outputBytes: number;
}

const FLASH_ATTENTION = { auto: -1, off: 0, on: 1 } as const;

export class LlamaContext extends NativeHandle {
  readonly model: LlamaModel;
  readonly contextLength: number;
  readonly batchSize: number;
  readonly sequencesMax: number;
  readonly threads: number;
  readonly memory: ContextMemory;
  readonly #llama: LlamaFunctions;
  readonly #observer: ObserverCallback | undefined;
  readonly #cache: bigint | null;
  /** Its own threads, where it shares none. */
  readonly #pool: ThreadPool | undefined;
  /** Views of logits rows by address: a new view of native memory costs a hundred times what finding an old one does. */
  readonly #rows = new Map<bigint, Float32Array>();

  private constructor(
    model: LlamaModel,
    pointer: bigint,
    threads: number,
    memory: ContextMemory,
    { observer, threadPool }: { observer: ObserverCallback | undefined; threadPool: ThreadPool | undefined },
  ) {
    super(pointer, (p) => model.engine.llama.llama_free(p));
    const llama = model.engine.llama;
    this.model = model;
    this.#llama = llama;
    this.#observer = observer;
    this.threads = threads;
    this.memory = memory;
    this.contextLength = llama.llama_n_ctx(pointer);
    this.batchSize = llama.llama_n_batch(pointer);
    this.sequencesMax = llama.llama_n_seq_max(pointer);
    this.#cache = llama.llama_get_memory(pointer);
    this.#pool = threadPool ? undefined : ThreadPool.create(model.engine, threads);
    const pool = threadPool ?? this.#pool;
    if (pool) llama.llama_attach_threadpool(pointer, pool.pointer, null); // null: the same for batches
  }

  /** @throws {EngineError} when llama.cpp can't make the context, mostly for want of memory */
  static create(model: LlamaModel, options: ContextOptions = {}): LlamaContext {
    const { engine } = model;
    const parameters = engine.llama.llama_context_default_params();
    const threads = options.threads ?? physicalCores();
    const batchSize = options.batchSize ?? 2048;
    parameters.n_ctx = options.contextLength ?? 0;
    parameters.n_batch = batchSize;
    parameters.n_ubatch = Math.min(options.microBatchSize ?? 512, batchSize);
    parameters.n_seq_max = options.sequencesMax ?? 1;
    parameters.n_threads = threads;
    parameters.n_threads_batch = threads;
    parameters.flash_attn_type = FLASH_ATTENTION[options.flashAttention ?? "auto"];
    parameters.type_k = requireType(engine, options.typeK ?? "f16").id;
    parameters.type_v = requireType(engine, options.typeV ?? "f16").id;
    parameters.swa_full = options.fullWindowCache ?? false;
    parameters.kv_unified = options.unifiedCache ?? false;
    parameters.n_outputs_max = options.outputsMax ?? 0;
    parameters.embeddings = options.embeddings ?? false;
    const observer = options.observer && new ObserverCallback(engine, options.observer);
    if (observer) parameters.cb_eval = observer.pointer;
    engine.log.clear();
    const pointer = engine.llama.llama_init_from_model(model.pointer, parameters);
    if (pointer === null) {
      observer?.[Symbol.dispose]();
      const log = engine.log.recent();
      throw new EngineError(
        `Cannot make a context of ${parameters.n_ctx} tokens for "${model.path}": ${log.at(-1) ?? "no reason given"}`,
        {
          hint: "Choose a shorter context or a smaller cache type",
          log,
        },
      );
    }
    model.adaptContext(pointer);
    const memory = allocatedBytes(engine.log.recent({ all: true, count: 200 }));
    return new LlamaContext(model, pointer, threads, memory, { observer, threadPool: options.threadPool });
  }

  /** A batch of the size that one decode call of this context takes. */
  newBatch(capacity = this.batchSize): TokenBatch {
    return new TokenBatch(capacity);
  }

  /**
   * Computes one batch; its logits are then at `logits(index)`.
   *
   * @throws {EngineError} when the cache is full or the engine fails; whatever the observer threw
   */
  decode(batch: TokenBatch): void {
    const status = this.#llama.llama_decode(this.pointer, batch.struct());
    this.#observer?.rethrow();
    if (status === 0) return;
    const reason =
      status === 1
        ? "the context is full"
        : status === 2
          ? "it was stopped"
          : (this.model.engine.log.recent().at(-1) ?? `status ${status}`);
    throw new EngineError(`Cannot decode ${batch.size} tokens with "${this.model.path}": ${reason}`, {
      log: this.model.engine.log.recent(),
    });
  }

  /**
   * Logits after the batch's token `index`, which must have asked for them.
   *
   * @returns [vocabulary], in native memory: valid until the next decode
   */
  logits(index: number): Float32Array {
    const address = this.#llama.llama_get_logits_ith(this.pointer, index);
    if (address === null) throw new RangeError(`Token ${index} of the batch asked for no logits`);
    let row = this.#rows.get(address);
    if (!row) {
      row = new Float32Array(viewBytes(address, this.model.vocabularySize * 4));
      this.#rows.set(address, row);
    }
    return row;
  }

  /** Logits of all tokens that asked for them, in the batch's order: [vocabulary × outputs], valid until the next decode. */
  logitsAll(outputs: number): Float32Array {
    const address = this.#llama.llama_get_logits(this.pointer);
    if (address === null) throw new RangeError("No token of the batch asked for logits");
    return new Float32Array(viewBytes(address, this.model.vocabularySize * outputs * 4));
  }

  /** False where the model's metadata knows no pooling. */
  get hasPooling(): boolean {
    return this.#llama.llama_pooling_type(this.pointer) !== 0; // LLAMA_POOLING_TYPE_NONE
  }

  /**
   * What the output matrix is given for the batch's token `index`, in a context with `embeddings`.
   *
   * @returns [width], in native memory: valid until the next decode
   */
  state(index: number): Float32Array {
    const address = this.#llama.llama_get_embeddings_ith(this.pointer, index);
    if (address === null) throw new EngineError(`"${this.model.path}" gives no hidden states`);
    return new Float32Array(viewBytes(address, this.model.embeddingLength * 4));
  }

  /** A sequence's pooled hidden state [width], a copy. */
  embedding(sequence: number): Float32Array {
    const address = this.#llama.llama_get_embeddings_seq(this.pointer, sequence);
    if (address === null) throw new EngineError(`"${this.model.path}" gives no embeddings`);
    return Float32Array.from(new Float32Array(viewBytes(address, this.model.embeddingLength * 4)));
  }

  /** The most likely token after the batch's token `index`; the first of equals. */
  argmax(index: number): number {
    return argmax(this.logits(index));
  }

  /** Waits for a GPU to finish; on the CPU it is done already. */
  synchronize(): void {
    this.#llama.llama_synchronize(this.pointer);
  }

  clearMemory(): void {
    this.#llama.llama_memory_clear(this.#cache, true);
  }

  /** Forgets positions [start, end) of a sequence; -1 means all of them. */
  removeSequence(sequence: number, start = -1, end = -1): boolean {
    return this.#llama.llama_memory_seq_rm(this.#cache, sequence, start, end);
  }

  /** Shares positions [start, end) of one sequence with another. */
  copySequence(from: number, to: number, start = -1, end = -1): void {
    this.#llama.llama_memory_seq_cp(this.#cache, from, to, start, end);
  }

  setThreads(threads: number): void {
    this.#llama.llama_set_n_threads(this.pointer, threads, threads);
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#pool?.[Symbol.dispose]();
    this.#observer?.[Symbol.dispose]();
  }
}

/** llama.cpp has no public call for this, but it logs every buffer: `CPU KV buffer size = 1.13 MiB`. */
function allocatedBytes(log: string[]): ContextMemory {
  const sum = (pattern: RegExp): number => {
    let total = 0;
    for (const line of log) {
      const match = pattern.exec(line);
      if (match) total += Math.round(Number(match[1]) * 2 ** 20);
    }
    return total;
  };
  return {
    kvCacheBytes: sum(/(?:KV|RS) buffer size\s*=\s*([\d.]+) MiB/),
    computeBytes: sum(/compute buffer size\s*=\s*([\d.]+) MiB/),
    outputBytes: sum(/output buffer size\s*=\s*([\d.]+) MiB/),
  };
}
