// A model loaded by llama.cpp: its weights, vocabulary and metadata.
import { existsSync } from "node:fs";

import koffi from "koffi";

import { EngineError, FormatError } from "../errors.js";
import type { LlamaFunctions, Struct } from "./bindings.js";
import type { Engine } from "./engine.js";
import { NativeHandle } from "./handle.js";

export interface ModelOptions {
  /** Layers kept on the GPU; -1 is all of them. Without a GPU it means nothing. */
  gpuLayers?: number;
  /** Map the file instead of reading it; on by default. */
  mmap?: boolean;
  /** Rearrange weights at load for speed (`use_extra_bufts`). Changes q8_0's divergence by some 2 %, so off for quality, on for speed. */
  repack?: boolean;
  vocabOnly?: boolean;
  /** Look for NaN and infinity in every weight. */
  checkTensors?: boolean;
  /** LoRA adapter, a GGUF file: every context of the model has it. */
  adapter?: string | undefined;
  /** Share loaded, 0…1. Return false to stop. */
  onProgress?: (share: number) => boolean | void;
}

/** What a model's tensors come to. */
export type ModelTotals = Pick<LlamaModel, "sizeBytes" | "parameters">;

/** llama.cpp's `llama_token_attr` bits. */
export const TOKEN_ATTRIBUTES = { unknown: 1, unused: 2, normal: 4, control: 8, userDefined: 16, byte: 32 } as const;

const TOKEN_BYTES_MAX = 4096;

export class LlamaModel extends NativeHandle {
  readonly engine: Engine;
  readonly path: string;
  readonly vocabularySize: number;
  readonly contextLengthTrained: number;
  readonly embeddingLength: number;
  readonly layers: number;
  readonly sizeBytes: number;
  readonly parameters: number;
  /** llama.cpp's one-line description, such as `llama 15M Q4_0`. */
  readonly description: string;
  readonly bosToken: number;
  readonly eosToken: number;
  readonly eotToken: number;
  readonly addsBos: boolean;
  readonly addsEos: boolean;
  readonly chatTemplate: string | undefined;
  readonly #llama: LlamaFunctions;
  /** `llama_vocab *`, which lives as long as the model. */
  readonly vocabulary: bigint;
  /** `llama_adapter_lora *`, which is freed with the model. */
  #adapter: bigint | null = null;
  readonly #pieces = new Map<number, Uint8Array>();

  private constructor(engine: Engine, path: string, pointer: bigint, totals?: ModelTotals) {
    super(pointer, (p) => engine.llama.llama_model_free(p));
    const llama = engine.llama;
    this.engine = engine;
    this.path = path;
    this.#llama = llama;
    this.vocabulary = llama.llama_model_get_vocab(pointer)!;
    this.vocabularySize = llama.llama_vocab_n_tokens(this.vocabulary);
    this.contextLengthTrained = llama.llama_model_n_ctx_train(pointer);
    this.embeddingLength = llama.llama_model_n_embd(pointer);
    this.layers = llama.llama_model_n_layer(pointer);
    this.sizeBytes = totals?.sizeBytes ?? llama.llama_model_size(pointer);
    this.parameters = totals?.parameters ?? llama.llama_model_n_params(pointer);
    this.description = readText((buffer) => llama.llama_model_desc(pointer, buffer, buffer.byteLength)) ?? "";
    this.bosToken = llama.llama_vocab_bos(this.vocabulary);
    this.eosToken = llama.llama_vocab_eos(this.vocabulary);
    this.eotToken = llama.llama_vocab_eot(this.vocabulary);
    this.addsBos = llama.llama_vocab_get_add_bos(this.vocabulary);
    this.addsEos = llama.llama_vocab_get_add_eos(this.vocabulary);
    this.chatTemplate = llama.llama_model_chat_template(pointer, null) ?? undefined;
  }

  /**
   * Loads a GGUF file. Call it in a child process: llama.cpp aborts on some bad files.
   *
   * @throws {FormatError} when there is no such file
   * @throws {EngineError} when llama.cpp refuses it; the message has llama.cpp's own reason
   */
  static load(engine: Engine, path: string, options: ModelOptions = {}): LlamaModel {
    if (!existsSync(path)) throw new FormatError(path, `Cannot read "${path}": no such file`);
    const parameters = defaultParameters(engine, options);
    parameters.load_mode = options.mmap === false ? 0 : 1; // LLAMA_LOAD_MODE_NONE, LLAMA_LOAD_MODE_MMAP
    parameters.use_extra_bufts = options.repack ?? false;
    parameters.vocab_only = options.vocabOnly ?? false;
    parameters.check_tensors = options.checkTensors ?? false;
    const release = attachProgress(parameters, options.onProgress);
    engine.log.clear();
    try {
      const pointer = engine.llama.llama_model_load_from_file(path, parameters);
      if (pointer === null) throw loadFailure(engine, path);
      const model = new LlamaModel(engine, path, pointer);
      if (options.adapter !== undefined) model.#loadAdapter(options.adapter);
      return model;
    } finally {
      release();
    }
  }

  #loadAdapter(path: string): void {
    if (!existsSync(path)) throw new FormatError(path, `Cannot read "${path}": no such file`);
    this.engine.log.clear();
    this.#adapter = this.#llama.llama_adapter_lora_init(this.pointer, path);
    if (this.#adapter !== null) return;
    this[Symbol.dispose]();
    const log = this.engine.log.recent();
    const reason = (log[0] ?? "no reason given").replace(/^\w+: (?:failed to apply lora adapter: )?/, "");
    throw new EngineError(`Cannot add the adapter "${path}" to "${this.path}": ${reason}`, {
      log,
      hint: "Take the model that the adapter was made for",
    });
  }

  /** Gives a context of this model its adapter, where it has one. */
  adaptContext(context: bigint): void {
    if (this.#adapter === null) return;
    const result = this.#llama.llama_set_adapters_lora(context, BigInt64Array.of(this.#adapter), 1, Float32Array.of(1));
    if (result !== 0) throw new EngineError(`Cannot use the adapter of "${this.path}"`);
  }

  /**
   * Makes a model of metadata in memory; `buildUserModel` is what to call.
   *
   * @param path named in messages
   * @param metadata `gguf_context *` with the tensors' types; not kept
   * @param onTensor C callback, handed each tensor
   * @param options.totals llama.cpp counts only what comes from a file
   */
  static fromUser(
    engine: Engine,
    path: string,
    metadata: bigint,
    onTensor: bigint,
    options: Pick<ModelOptions, "gpuLayers"> & { totals: ModelTotals },
  ): LlamaModel {
    const parameters = defaultParameters(engine, options);
    parameters.use_extra_bufts = false; // the caller rewrites the bytes as they lie
    engine.log.clear();
    const pointer = engine.llama.llama_model_init_from_user(metadata, onTensor, null, parameters);
    if (pointer === null) throw loadFailure(engine, path);
    return new LlamaModel(engine, path, pointer, options.totals);
  }

  /**
   * Text to tokens.
   *
   * @param options.addSpecial add BOS and EOS where the vocabulary asks for them; off by default
   * @param options.parseSpecial read `<|im_start|>` and the like as control tokens; off by default
   */
  tokenize(text: string, options: { addSpecial?: boolean; parseSpecial?: boolean } = {}): Int32Array {
    const byteLength = Buffer.byteLength(text);
    let tokens = new Int32Array(byteLength + 16);
    const call = (): number =>
      this.#llama.llama_tokenize(
        this.vocabulary,
        text,
        byteLength,
        tokens,
        tokens.length,
        options.addSpecial ?? false,
        options.parseSpecial ?? false,
      );
    let count = call();
    if (count < 0) {
      tokens = new Int32Array(-count);
      count = call();
    }
    if (count < 0) throw new EngineError(`Cannot tokenize ${byteLength} bytes of text`);
    return tokens.slice(0, count);
  }

  /** Tokens to text; bytes that are no UTF-8 become U+FFFD. */
  detokenize(tokens: ArrayLike<number>, options: { special?: boolean } = {}): string {
    const pieces = Array.from(tokens, (token) => this.tokenBytes(token, options.special ?? false));
    return new TextDecoder().decode(Buffer.concat(pieces));
  }

  /** The bytes that one token stands for; a character may span several tokens. Control tokens are empty unless `special`. */
  tokenBytes(token: number, special = false): Uint8Array {
    const key = special ? -token - 1 : token;
    let piece = this.#pieces.get(key);
    if (!piece) {
      const buffer = new Uint8Array(TOKEN_BYTES_MAX);
      const length = this.#llama.llama_token_to_piece(this.vocabulary, token, buffer, buffer.length, 0, special);
      piece = buffer.slice(0, Math.max(0, length));
      this.#pieces.set(key, piece);
    }
    return piece;
  }

  /** True for tokens that end an answer: EOS, EOT and their kind. */
  isEndOfGeneration(token: number): boolean {
    return this.#llama.llama_vocab_is_eog(this.vocabulary, token);
  }

  /** `TOKEN_ATTRIBUTES` bits of a token. */
  tokenAttributes(token: number): number {
    return this.#llama.llama_vocab_get_attr(this.vocabulary, token);
  }

  /** True for models that read a text in both directions, as most embedding models do. */
  get hasEncoder(): boolean {
    return this.#llama.llama_model_has_encoder(this.pointer);
  }

  /** A metadata value as text, or undefined. */
  metadata(key: string): string | undefined {
    return readText((buffer) => this.#llama.llama_model_meta_val_str(this.pointer, key, buffer, buffer.byteLength));
  }
}

function defaultParameters(engine: Engine, options: ModelOptions): Struct<"llama_model_params"> {
  const parameters = engine.llama.llama_model_default_params();
  parameters.n_gpu_layers = engine.backend === "cpu" ? 0 : (options.gpuLayers ?? -1);
  return parameters;
}

function attachProgress(parameters: Struct<"llama_model_params">, onProgress: ModelOptions["onProgress"]): () => void {
  if (!onProgress) return () => undefined;
  progressType ??= koffi.proto("bool LlamaLoadProgress(float share, void *user_data)");
  const callback = koffi.register((share: number) => {
    try {
      return onProgress(share) !== false;
    } catch {
      return false; // an exception must not cross the native frame
    }
  }, koffi.pointer(progressType));
  parameters.progress_callback = callback;
  return () => koffi.unregister(callback);
}

let progressType: ReturnType<typeof koffi.proto> | undefined;

function loadFailure(engine: Engine, path: string): EngineError {
  const log = engine.log.recent();
  const first = log[0] ?? "no reason given"; // later lines only say that it failed
  const reason = first.replace(/^\w+: (?:error loading model: )?/, "");
  return new EngineError(`Cannot load "${path}": ${reason}`, {
    log,
    hint: "Run: pare inspect, to see what is in the file",
  });
}

function readText(call: (buffer: Uint8Array) => number): string | undefined {
  let buffer = new Uint8Array(256);
  let length = call(buffer);
  if (length < 0) return undefined;
  if (length >= buffer.length) {
    buffer = new Uint8Array(length + 1);
    length = call(buffer);
  }
  return new TextDecoder().decode(buffer.subarray(0, Math.min(length, buffer.length)));
}
