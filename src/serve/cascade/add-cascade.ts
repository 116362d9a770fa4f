// From a cascade's file to models that are served: its GGUF files are served under their own names, too, unless they are already.
import { basename, resolve } from "node:path";

import { UsageError } from "../../errors.js";
import type { Cascade } from "../../fit/cascade/cascade-file.js";
import { type ModelSet, type NamedPath, parseModel, type ServedModel } from "../model-set.js";

/** The models, and those that cascades want besides. */
export function withCascadeModels(models: readonly NamedPath[], cascades: readonly Cascade[]): NamedPath[] {
  const all = [...models];
  for (const { small, large } of cascades) {
    for (const path of [small, large]) {
      if (typeof path === "string" && !all.some((one) => resolve(one.path) === resolve(path)))
        all.push(parseModel(path));
    }
  }
  return all;
}

/** @throws {UsageError} when it is not for a server, or its name is taken */
export function addCascade(models: ModelSet, { name, small, large, threshold, of, pattern }: Cascade): void {
  if (of === "choices") {
    throw new UsageError(
      `Cannot serve the cascade "${name}": its threshold is for choices, and a server generates answers`,
      {
        hint: "Fit it on a task whose answers are generated",
      },
    );
  }
  const variable = typeof large === "string" ? undefined : large.apiKeyVariable;
  if (variable !== undefined && !process.env[variable]) {
    throw new UsageError(
      `The cascade "${name}" has its key in the environment variable "${variable}", which is not set`,
    );
  }
  models.addCascade(name, {
    small: modelAt(models, small),
    large: typeof large === "string" ? { name: modelAt(models, large).name } : { name: large.model, endpoint: large },
    threshold,
    pattern: pattern === undefined ? undefined : new RegExp(pattern, "u"),
  });
}

function modelAt(models: ModelSet, path: string): ServedModel {
  const found = models.engines.find((one) => resolve(one.path) === resolve(path));
  if (!found) throw new UsageError(`The model "${basename(path)}" of the cascade is not served`);
  return found;
}
