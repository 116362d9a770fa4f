// From the tensors of a GGUF model to those of a checkpoint: `mapTensors`, read the other way.
import { FormatError } from "../errors.js";
import type { LazyTensor, Model } from "../model/model.js";
import type { Family, TensorRule } from "./family.js";

/** A tensor of the checkpoint and what it is made of. */
export interface RestoredTensor {
  /** In the checkpoint. */
  readonly name: string;
  readonly source: LazyTensor;
  readonly rule: TensorRule;
  /** Which of the stacked matrices it is. */
  readonly expert?: number;
}

/** Tensors that stand for a part of the configuration. */
const CONFIGURATION = /^rope_(freqs|factors_(long|short))\.weight$/;

export function isConfiguration(name: string): boolean {
  return CONFIGURATION.test(name);
}

/** @throws {FormatError} when a tensor has no place in the family's checkpoints */
export function restoreTensors(family: Family, model: Pick<Model, "tensors" | "path">): RestoredTensor[] {
  const rules = new Map(
    Object.entries(family.tensors).map(([pattern, given]) => {
      const rule = typeof given === "string" ? { to: given } : given;
      return [rule.to, { pattern, rule }];
    }),
  );
  return [...model.tensors.values()]
    .filter(({ name }) => !isConfiguration(name))
    .flatMap((source) => {
      const layer = /^blk\.(\d+)\./.exec(source.name)?.[1] ?? "";
      const found = rules.get(source.name.replace(/^blk\.\d+\./, "blk.{layer}."));
      if (!found || found.rule.isDropped) throw unknownTensor(family, source.name, model.path ?? "model");
      const name = found.pattern.replace("{layer}", layer);
      if (!name.includes("{expert}")) return [{ name, source, rule: found.rule }];
      const experts = Array.from({ length: source.shape[2] ?? 1 }, (_, expert) => expert);
      return experts.map((expert) => ({
        name: name.replace("{expert}", `${expert}`),
        source,
        rule: found.rule,
        expert,
      }));
    });
}

function unknownTensor(family: Family, name: string, path: string): FormatError {
  return new FormatError(
    path,
    `Cannot export "${path}": a checkpoint of ${family.name} has no place for tensor "${name}"`,
  );
}
