// The models behind one address, by name. A cascade is one of them: it has the large model's engine, and a small model that is asked
// first (cascade/ask-cascade.ts).
import { basename } from "node:path";
import { statSync } from "node:fs";

import { UsageError } from "../errors.js";
import type { Endpoint } from "../fit/cascade/cascade-file.js";
import type { Engine } from "./engine/engine.js";
import type { LoadedModel } from "./engine/messages.js";
import { RequestError } from "./failure.js";

/** A model and what it is called. */
export interface NamedPath {
  name: string;
  path: string;
}

/** A cascade's rules, and who is asked first. */
export interface ServedCascade {
  small: ServedModel;
  /** Who is asked where the small model is not sure: the model that has the cascade, or another server. */
  large: { name: string } | { name: string; endpoint: Endpoint };
  /** From this confidence on the small model's answer is taken. */
  threshold: number;
  /** What its answer must look like. */
  pattern: RegExp | undefined;
}

/** A model that is served. */
export interface ServedModel extends NamedPath {
  cascade?: ServedCascade | undefined;
  engine: Engine;
  /** When its file was last changed. */
  changedAt: Date;
  sizeBytes: number;
}

/** Reads `path` or `name=path`; without a name, the file's own is taken. */
export function parseModel(text: string): NamedPath {
  const named = /^([^=/\\]+)=(.+)$/.exec(text);
  const path = named?.[2] ?? text;
  return { name: named?.[1] ?? basename(path).replace(/\.gguf$/i, ""), path };
}

/** Models by name; a request that names none gets the first. */
export class ModelSet {
  readonly #models = new Map<string, ServedModel>();
  readonly #aliases = new Map<string, ServedModel>();

  /** @throws {UsageError} when two models have one name */
  constructor(models: readonly NamedPath[], start: (model: NamedPath) => Engine) {
    for (const { name } of models) {
      if (models.filter((other) => other.name === name).length < 2) continue;
      throw new UsageError(`Two models are called "${name}"`, { hint: "Give one another name: NAME=PATH" });
    }
    for (const model of models) {
      const { mtime: changedAt, size: sizeBytes } = statSync(model.path);
      this.#models.set(model.name, { ...model, engine: start(model), changedAt, sizeBytes });
    }
  }

  [Symbol.iterator](): IterableIterator<ServedModel> {
    return this.#models.values();
  }

  /** Those with an engine of their own, which cascades have not. */
  get engines(): ServedModel[] {
    return [...this].filter(({ cascade }) => !cascade);
  }

  /** Whether all can answer: of a cascade that is the large model, as nobody waits for a small one that is started again. */
  get areReady(): boolean {
    const cascades = [...this].flatMap(({ cascade }) => cascade ?? []);
    const isSpared = ({ name, engine }: ServedModel): boolean =>
      engine.known !== undefined &&
      cascades.some(({ small }) => small.name === name) &&
      !cascades.some(({ large }) => !("endpoint" in large) && large.name === name);
    return this.engines.every((one) => one.engine.model !== undefined || isSpared(one));
  }

  /** @throws {UsageError} when there is a model of that name */
  addCascade(name: string, cascade: ServedCascade): void {
    if (this.#models.has(name)) {
      throw new UsageError(`A model and a cascade are both called "${name}"`, {
        hint: "Change the name in the cascade's file",
      });
    }
    const base = "endpoint" in cascade.large ? cascade.small : this.#models.get(cascade.large.name)!;
    this.#models.set(name, { ...base, name, cascade });
  }

  /** Models, and names that stand for one of them. */
  get listed(): ServedModel[] {
    return [...this, ...this.#aliases.values()];
  }

  /** Lists a model under a name that stands for it. @throws {UsageError} when there is a model of that name */
  addAlias(alias: string, name: string): void {
    if (this.#models.has(alias)) {
      throw new UsageError(`A model is called "${alias}", which is a name of the routes`, {
        hint: "Give it another name: NAME=PATH",
      });
    }
    this.#aliases.set(alias, { ...this.#models.get(name)!, name: alias });
  }

  /** What a listed name stands for. @throws {RequestError} 404 when there is none of that name */
  describe(name: string | undefined): ServedModel {
    return this.#aliases.get(name ?? "") ?? this.#aliases.get(name?.replace(/:latest$/, "") ?? "") ?? this.find(name);
  }

  /**
   * The model that a request names. Ollama's clients append `:latest`.
   *
   * @throws {RequestError} 404 when there is none of that name
   */
  find(name: string | undefined): ServedModel {
    const found =
      name === undefined ? [...this][0] : (this.#models.get(name) ?? this.#models.get(name.replace(/:latest$/, "")));
    if (found) return found;
    const names = this.listed.map(({ name: one }) => `"${one}"`).join(", ");
    throw new RequestError(404, `There is no model "${name}"; models here are ${names}`, {
      param: "model",
      code: "model_not_found",
    });
  }
}

/** What is known of a model once it was loaded, also while its engine is started again. @throws {EngineUnavailable} when it can't be */
export function loadedModel({ engine }: ServedModel): Promise<LoadedModel> {
  return engine.known ? Promise.resolve(engine.known) : engine.ready;
}
