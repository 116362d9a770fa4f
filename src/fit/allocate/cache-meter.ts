// Measures what types of the KV cache cost the full-precision model: each type of keys beside values in f16, each type of
// values beside keys in f16, and the pairs that are asked for. Nothing is measured twice, nor what a table has already.
import { EngineError, UsageError } from "../../errors.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import type { ModelSpec } from "../../model/spec.js";
import type { OnProgress } from "../../support/progress.js";
import { cacheTypes } from "./kv-cache.js";
import type { Divergence, Measurements } from "./measurement-schema.js";
import { cacheMeasurementsAt } from "./measurement-table.js";

/** A pair of types and what it costs, as tables keep it. */
export type MeasuredCache = Measurements["kvCache"][number];

export interface CacheMeterRequest {
  readonly spec: ModelSpec;
  /** Tokens of each window that is measured on. */
  readonly windowTokens: number;
  /**
   * KL divergence of the model with a cache of these types from itself with one in f16, on those windows. Absent: no model
   * runs, and what is known has to do.
   */
  readonly measure?: (types: { typeK: GgmlType; typeV: GgmlType }) => Divergence;
  /** What was measured before, on windows of any length. */
  readonly known?: readonly MeasuredCache[] | undefined;
  readonly onProgress?: OnProgress;
  /** Called between measurements. */
  readonly breathe?: () => Promise<void>;
}

export class CacheMeter {
  readonly spec: ModelSpec;
  readonly windowTokens: number;
  /** What no table has yet. */
  readonly added: MeasuredCache[] = [];
  readonly #request: CacheMeterRequest;
  readonly #known: readonly MeasuredCache[];

  constructor(request: CacheMeterRequest) {
    this.spec = request.spec;
    this.windowTokens = request.windowTokens;
    this.#request = request;
    this.#known = cacheMeasurementsAt({ kvCache: [...(request.known ?? [])] }, request.windowTokens);
  }

  /** False where no model runs. */
  get measures(): boolean {
    return this.#request.measure !== undefined;
  }

  get measurements(): readonly MeasuredCache[] {
    return [...this.#known, ...this.added];
  }

  find(typeK: GgmlType, typeV: GgmlType): MeasuredCache | undefined {
    return this.measurements.find((one) => one.typeK === typeK && one.typeV === typeV);
  }

  /**
   * Measures every type of keys and of values, the other half in f16. A type with which the engine makes no context, or no
   * numbers, is left out: it can't be chosen then.
   *
   * @throws {UsageError} when no model runs and none of them is known
   */
  async measureHalves(): Promise<void> {
    if (!this.measures) return this.#requireKnown();
    const missing = halves(this.spec).filter(([typeK, typeV]) => !this.find(typeK, typeV));
    for (const [done, [typeK, typeV]] of missing.entries()) {
      this.#report(typeK, typeV, { done, total: missing.length });
      try {
        this.#measure(typeK, typeV);
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
      }
      await this.#request.breathe?.();
    }
  }

  /**
   * Measures a pair. Where no model runs, the sum of its halves stands in for it.
   *
   * @throws {EngineError} when the engine can't run it
   * @throws {UsageError} when no model runs, and neither the pair nor both of its halves are known
   */
  async measurePair(typeK: GgmlType, typeV: GgmlType): Promise<void> {
    if (this.find(typeK, typeV)) return;
    if (!this.measures) return this.#requireHalves(typeK, typeV);
    this.#report(typeK, typeV, { done: 0, total: 1 });
    this.#measure(typeK, typeV);
    await this.#request.breathe?.();
  }

  #requireKnown(): void {
    if (this.#known.length > 0 || halves(this.spec).length === 0) return;
    throw unknown("KV caches, whose types are to be chosen");
  }

  #requireHalves(typeK: GgmlType, typeV: GgmlType): void {
    const { keys, values } = keptHalves(this.spec);
    const hasKeys = !keys || typeK === "f16" || this.find(typeK, "f16") !== undefined;
    const hasValues = !values || typeV === "f16" || this.find("f16", typeV) !== undefined;
    if (!hasKeys || !hasValues) throw unknown(`a KV cache of K ${typeK} and V ${typeV}, nor of both halves`);
  }

  #measure(typeK: GgmlType, typeV: GgmlType): void {
    const { mean, standardError, tokens, p99, sameTopRate } = this.#request.measure!({ typeK, typeV });
    const divergence = { mean, standardError, tokens, p99, sameTopRate };
    this.added.push({ contextLength: this.windowTokens, typeK, typeV, divergence });
  }

  #report(typeK: GgmlType, typeV: GgmlType, count: { done: number; total: number }): void {
    this.#request.onProgress?.({
      stage: "measuring KV-cache types",
      ...count,
      unit: "types",
      detail: `K ${typeK}, V ${typeV}`,
    });
  }
}

/** The pairs of which one half is f16; none for halves that the model does not keep, as with latent attention. */
function halves(spec: ModelSpec): [typeK: GgmlType, typeV: GgmlType][] {
  const kept = keptHalves(spec);
  const keys = kept.keys ? cacheTypes(spec.headLengthK) : [];
  const values = kept.values ? cacheTypes(spec.headLengthV) : [];
  const isSmall = (type: GgmlType) => type !== "f16";
  return [
    ...keys.filter(isSmall).map((type): [GgmlType, GgmlType] => [type, "f16"]),
    ...values.filter(isSmall).map((type): [GgmlType, GgmlType] => ["f16", type]),
  ];
}

function keptHalves({ cache }: ModelSpec): { keys: boolean; values: boolean } {
  return {
    keys: cache.some(({ keyLength }) => keyLength > 0),
    values: cache.some(({ valueLength }) => valueLength > 0),
  };
}

function unknown(what: string): UsageError {
  return new UsageError(`The measurements have nothing of ${what}`, { hint: "Run the same once without --dry-run" });
}
