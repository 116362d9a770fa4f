// The model that a file would be, in memory: every tensor in its real type, with the bytes that the file would have. What is
// measured of it is what llama.cpp makes of the file, repacking off.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { Engine } from "../../native/engine.js";
import type { LlamaModel } from "../../native/llama-model.js";
import { type ModelWeight, buildUserModel } from "../../native/user-model.js";
import { type Divergence, DivergenceMeter, type DivergenceOptions, type Yardstick } from "./divergence-meter.js";
import type { SourceWeights } from "./source-weights.js";
import type { RealModelPlan } from "./weight-lab.js";
import { writeOriginal } from "./write-weight.js";

export class RealModel implements Disposable {
  readonly model: LlamaModel;
  readonly #weights: ReadonlyMap<string, ModelWeight>;
  readonly #meter: DivergenceMeter;
  readonly #yardstick: () => Yardstick;

  /** `WeightLab.realModel` makes it. */
  constructor(
    engine: Engine,
    source: SourceWeights,
    heldTypes: ReadonlyMap<string, GgmlType>,
    plan: RealModelPlan,
    yardstick: () => Yardstick,
    threads: number | undefined,
  ) {
    const tensors = [...source.tensors.values()].map(({ name, shape }) => ({
      name,
      shape,
      type: plan.types.get(name) ?? heldTypes.get(name)!,
    }));
    const fill = (weight: ModelWeight): void => {
      if (plan.types.has(weight.name)) writeWhole(weight, plan.bytes(weight.name));
      else writeOriginal(engine, source, weight);
    };
    const { model, weights } = buildUserModel(engine, { metadataPath: source.path, tensors, fill });
    this.model = model;
    this.#weights = weights;
    this.#meter = new DivergenceMeter(model, threads);
    this.#yardstick = yardstick;
  }

  /**
   * Puts other bytes of the same type in a tensor's place.
   *
   * @throws {RangeError} when there is no such tensor or the bytes don't fit
   */
  replace(name: string, bytes: Uint8Array): void {
    const weight = this.#weights.get(name);
    if (!weight) throw new RangeError(`"${this.model.path}" has no tensor "${name}" that the engine uses`);
    writeWhole(weight, bytes);
  }

  /** Compares with the lab's original. @throws {PareError} before the lab has a baseline */
  divergence(options: DivergenceOptions = {}): Divergence {
    return this.#meter.measure(this.#yardstick(), options);
  }

  [Symbol.dispose](): void {
    this.#meter[Symbol.dispose]();
    this.model[Symbol.dispose]();
  }
}

function writeWhole(weight: ModelWeight, bytes: Uint8Array): void {
  if (bytes.byteLength !== weight.sizeBytes)
    throw new RangeError(
      `Tensor "${weight.name}" takes ${weight.sizeBytes} bytes as ${weight.type}, not ${bytes.byteLength}`,
    );
  weight.write(bytes);
}
