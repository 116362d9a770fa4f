// A model in memory whose weights are exchanged in place: what a tensor's rounding costs is measured by substituting it and
// comparing predictions with the original's. One measurement costs a forward pass; nothing is written or loaded.
//
// Matrices are held as f16, or as f32 where values exceed it (or as bf16, if inputs are all that is wanted of the model), so a substituted tensor is read with its decoded values and
// unrounded activations. An engine that has the tensor in its quantized type rounds activations too: that is what
// `realModel` measures, tensor for tensor as the file would be.
//
// Everything native here is synchronous and may abort the process: use it in a job that `isolate` runs.
import { PareError } from "../../errors.js";
import { MemoryBaseline } from "../../evaluate/memory-baseline.js";
import { resolveContextLength } from "../../evaluate/text-windows.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { Engine } from "../../native/engine.js";
import type { LlamaModel } from "../../native/llama-model.js";
import { type ModelWeight, buildUserModel } from "../../native/user-model.js";
import { isQuantizable } from "../../passes/quantize/tensor-role.js";
import {
  type CacheOptions,
  type Divergence,
  DivergenceMeter,
  type DivergenceOptions,
  type Yardstick,
} from "./divergence-meter.js";
import { RealModel } from "./real-model.js";
import { SourceWeights } from "./source-weights.js";
import { FLOAT16_MAX, weightCount, writeDecoded, writeOriginal, writeValues } from "./write-weight.js";

/** What a lab holds matrices in. */
export type HeldPrecision = "f16" | "bf16";

export interface WeightLabOptions {
  threads?: number | undefined;
  /**
   * f16 by default. bf16 keeps three bits less of each weight, and so not the original's predictions; where the processor
   * multiplies it, layers take half as long.
   */
  precision?: HeldPrecision;
  signal?: AbortSignal;
}

export interface BaselineRequest {
  /** The text's tokens, see `tokenizeTexts`. */
  tokens: Int32Array;
  /** Tokens per window; absent: 512, or what the model was trained on. */
  contextLength?: number | undefined;
  /** Position of a window's first scored token; its middle by default. */
  firstScored?: number | undefined;
  /** Numbers of windows in the order in which budgets take them; absent: all from the first on. */
  windows?: readonly number[] | undefined;
  signal?: AbortSignal;
}

/** What a real model has in types of its own. */
export interface RealModelPlan {
  types: ReadonlyMap<string, GgmlType>;
  /** The bytes of each tensor in `types`, asked for once each. */
  bytes: (name: string) => Uint8Array;
}

export class WeightLab implements Disposable {
  readonly engine: Engine;
  readonly source: SourceWeights;
  readonly model: LlamaModel;
  readonly #heldTypes: ReadonlyMap<string, GgmlType>;
  readonly #weights: ReadonlyMap<string, ModelWeight>;
  readonly #meter: DivergenceMeter;
  readonly #threads: number | undefined;
  readonly #substituted = new Set<string>();
  #yardstick: Yardstick | undefined;

  private constructor(engine: Engine, source: SourceWeights, { threads, precision = "f16" }: WeightLabOptions) {
    const types = new Map(
      [...source.tensors.keys()].map((name) => [name, chooseType(engine, source, name, precision)]),
    );
    const built = buildUserModel(engine, {
      metadataPath: source.path,
      tensors: [...source.tensors.values()].map(({ name, shape }) => ({ name, shape, type: types.get(name)! })),
      fill: (weight) => writeOriginal(engine, source, weight),
    });
    this.engine = engine;
    this.source = source;
    this.model = built.model;
    this.#heldTypes = types;
    this.#weights = built.weights;
    this.#threads = threads;
    this.#meter = new DivergenceMeter(built.model, threads);
  }

  /**
   * Opens a model's file and takes its weights into memory. A quantized source is decoded.
   *
   * @throws {FormatError} when it is no sound GGUF file
   * @throws {PareError} when a weight is NaN or infinite; the message names the tensor
   * @throws {EngineError} when llama.cpp can't build the model
   */
  static async open(engine: Engine, path: string, options: WeightLabOptions = {}): Promise<WeightLab> {
    const source = await SourceWeights.open(path, options);
    try {
      return new WeightLab(engine, source, options);
    } catch (error) {
      source[Symbol.dispose]();
      throw error;
    }
  }

  /** Names of the tensors that are not the original's now. */
  get substituted(): ReadonlySet<string> {
    return this.#substituted;
  }

  /** The type that a tensor is held in. */
  heldType(name: string): GgmlType {
    return this.#heldTypes.get(this.source.tensor(name).name)!;
  }

  /** A tensor's original values, in the order in which they lie. */
  originalValues(name: string): Float32Array {
    const out = new Float32Array(weightCount(this.#weight(name)));
    for (const { start, values } of this.source.values(this.engine, name)) out.set(values, start);
    return out;
  }

  /**
   * Puts other values in a tensor's place.
   *
   * @param values all of them, in the order in which they lie
   * @throws {RangeError} when they are too few or many, or one is no number that the held type has
   */
  substitute(name: string, values: Float32Array): void {
    const weight = this.#weight(name);
    if (values.length !== weightCount(weight))
      throw new RangeError(`Weight "${name}" has ${weightCount(weight)} values, not ${values.length}`);
    this.#substituted.add(name);
    writeValues(this.engine, weight, values);
  }

  /** Puts what bytes of a type decode to in a tensor's place. @throws {RangeError} as `substitute` */
  substituteBytes(name: string, type: GgmlType, bytes: Uint8Array): void {
    const weight = this.#weight(name);
    this.#substituted.add(name);
    writeDecoded(this.engine, weight, type, bytes);
  }

  /** Puts the original values back, of one tensor or of all. */
  restore(name?: string): void {
    const names = name === undefined ? [...this.#substituted] : [name];
    for (const each of names) {
      const weight = this.#weight(each);
      if (!this.#substituted.has(each)) continue;
      writeOriginal(this.engine, this.source, weight);
      this.#substituted.delete(each);
    }
  }

  /**
   * Measures what the original predicts. Called again with the same tokens it adds the windows that are missing.
   *
   * @throws {PareError} when the text has no whole window, or a tensor is substituted
   */
  measureBaseline(request: BaselineRequest): { windows: number; sizeBytes: number } {
    const { tokens, contextLength, firstScored, windows, signal } = request;
    if (this.#substituted.size > 0)
      throw new PareError(`Cannot measure the original: tensor "${[...this.#substituted][0]}" is substituted`);
    const length = resolveContextLength(this.model, contextLength);
    const before = this.#yardstick?.baseline;
    const fresh = new MemoryBaseline(tokens, length, firstScored);
    const isSame = before?.tokens === tokens && before.contextLength === length;
    const baseline = isSame && before.firstScored === fresh.firstScored ? before : fresh;
    const chosen = windows ?? Array.from({ length: baseline.available }, (_, window) => window);
    if (chosen.length === 0) throw new PareError("No window of the text is selected");
    const yardstick = { baseline, windows: [...chosen] };
    baseline.measure(this.#meter.runner(yardstick), chosen, signal);
    this.#yardstick = yardstick;
    return { windows: chosen.length, sizeBytes: baseline.sizeBytes };
  }

  /**
   * Compares the model as it is now with the original.
   *
   * @throws {PareError} before there is a baseline
   * @throws {EngineError} when the logits are not numbers, or the cache types can't be had
   */
  divergence(options: DivergenceOptions = {}): Divergence {
    return this.#meter.measure(this.#requireYardstick(), options);
  }

  /**
   * Builds the model that a file of these types and bytes would be; tensors that are not named are held as here. Its
   * divergence is taken against the same baseline.
   *
   * @throws {RangeError} when a type can't hold a tensor's rows, or bytes don't fit
   */
  realModel(plan: RealModelPlan): RealModel {
    for (const name of plan.types.keys()) this.source.tensor(name);
    return new RealModel(
      this.engine,
      this.source,
      this.#heldTypes,
      plan,
      () => this.#requireYardstick(),
      this.#threads,
    );
  }

  /** Frees the weights: of the lab remain its source and its baseline, which is all that real models want. */
  releaseModel(): void {
    this.#meter[Symbol.dispose]();
    this.model[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.releaseModel();
    this.source[Symbol.dispose]();
  }

  #weight(name: string): ModelWeight {
    this.source.tensor(name);
    const weight = this.#weights.get(name);
    if (weight) return weight;
    throw new RangeError(`The engine makes no use of tensor "${name}"`);
  }

  #requireYardstick(): Yardstick {
    if (this.#yardstick) return this.#yardstick;
    throw new PareError("There is no baseline to compare with: measureBaseline comes first");
  }
}

export type { CacheOptions, Divergence, DivergenceOptions };

/** Half precision for matrices that can be exchanged; what never is keeps the source's type. */
function chooseType(engine: Engine, source: SourceWeights, name: string, precision: HeldPrecision): GgmlType {
  const tensor = source.tensor(name);
  if (precision === "bf16" && isQuantizable(tensor)) return "bf16";
  if (tensor.type === "f16" || (tensor.type.startsWith("i") && !tensor.type.startsWith("iq"))) return tensor.type;
  if (!isQuantizable(tensor)) return "f32";
  for (const { values } of source.values(engine, name)) {
    for (let i = 0; i < values.length; i++) if (Math.abs(values[i]!) > FLOAT16_MAX) return "f32";
  }
  return "f16";
}
