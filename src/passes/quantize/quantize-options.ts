// The options of the quantize pass as they stand in a recipe: names as text, in either case.
import { z } from "zod";

import { messageOf } from "../../errors.js";
import { parsePreset, parseWeightType } from "./presets.js";

/** What the quantize pass can be told. */
export interface QuantizeOptions {
  /** A preset such as `q4_K_M`, or a ggml type. */
  type: string;
  /** Tensors whose name a pattern matches, and the type they get; the first match counts. */
  tensorTypes?: { pattern: string; type: string }[] | undefined;
  outputType?: string | undefined;
  tokenEmbeddingType?: string | undefined;
  /** One type for every matrix, without the preset's mixture. */
  pure?: boolean | undefined;
  /** Leave `output.weight` as it is. */
  keepOutput?: boolean | undefined;
  /** Also quantize tensors that are quantized already, at a loss of quality. */
  allowRequantize?: boolean | undefined;
}

const presetName = named(parsePreset).describe("preset such as q4_K_M, or ggml type");
export const typeName = named(parseWeightType).describe("ggml type such as q6_K");

/** The options as a schema, key by key: a recipe adds to them. */
export const quantizeOptionsShape = {
  type: presetName,
  tensorTypes: z
    .array(z.strictObject({ pattern: z.string().min(1), type: typeName }))
    .optional()
    .describe("types of the tensors whose name a regular expression matches; the first match counts"),
  outputType: typeName.optional(),
  tokenEmbeddingType: typeName.optional(),
  pure: z.boolean().optional().describe("one type for every matrix"),
  keepOutput: z.boolean().optional().describe("leave output.weight as it is"),
  allowRequantize: z.boolean().optional().describe("also quantize what is quantized already"),
};

export const quantizeOptionsSchema: z.ZodType<QuantizeOptions> = z.strictObject(quantizeOptionsShape);

/** A text that a parser accepts; its complaint becomes the schema's. */
function named(parse: (text: string) => unknown) {
  return z.string().superRefine((text, refinement) => {
    try {
      parse(text);
    } catch (error) {
      refinement.addIssue({ code: "custom", message: messageOf(error) });
    }
  });
}
