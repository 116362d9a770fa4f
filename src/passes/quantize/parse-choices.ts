// Turns the options' texts into presets and types.
import { UsageError, messageOf } from "../../errors.js";
import type { TypeChoices } from "./assign-types.js";
import { type Preset, parsePreset, parseWeightType } from "./presets.js";
import type { QuantizeOptions } from "./quantize-options.js";

/**
 * Reads the names in the options.
 *
 * @throws {UsageError} when one is unknown
 */
export function parseChoices(options: QuantizeOptions): { preset: Preset; choices: TypeChoices } {
  return {
    preset: asUsage("--type", () => parsePreset(options.type)),
    choices: {
      overrides: options.tensorTypes?.map(({ pattern, type }) => ({
        pattern,
        type: asUsage("--tensor-type", () => parseWeightType(type)),
      })),
      outputType: optionalType("--output-tensor-type", options.outputType),
      tokenEmbeddingType: optionalType("--token-embedding-type", options.tokenEmbeddingType),
      pure: options.pure,
      keepOutput: options.keepOutput,
    },
  };
}

function optionalType(option: string, text: string | undefined) {
  return text === undefined ? undefined : asUsage(option, () => parseWeightType(text));
}

function asUsage<Result>(option: string, parse: () => Result): Result {
  try {
    return parse();
  } catch (cause) {
    throw new UsageError(messageOf(cause), { hint: `Check ${option}`, cause });
  }
}
