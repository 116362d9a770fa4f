// A cascade as a file: which models, from which confidence on the small one's answer is taken, and what that rests on. `pare fit
// --cascade` writes it, `pare serve --cascade` reads it; one may also be written by hand.
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";

import { z } from "zod";

import { FormatError, whyUnreadable } from "../../errors.js";

const share = z.number().min(0).max(1);
const isExpression = (text: string): boolean => {
  try {
    return new RegExp(text, "u") instanceof RegExp;
  } catch {
    return false;
  }
};

/** Another server that speaks OpenAI's API. */
const endpointSchema = z.strictObject({
  url: z.url({ protocol: /^https?$/ }).describe("up to and with `/v1`"),
  model: z.string().describe("what the model is called there"),
  apiKeyVariable: z.string().optional().describe("environment variable that holds the key"),
  takes: z
    .array(z.enum(["top_k", "min_p", "repeat_penalty", "repeat_last_n", "chat_template_kwargs"]))
    .optional()
    .describe("fields it knows that are not OpenAI's; requests with others of these are refused"),
});

export const cascadeSchema = z
  .strictObject({
    version: z.literal(1),
    name: z.string().min(1).describe("what it is called where it is served"),
    small: z.string().describe("GGUF file that answers first; relative to this file"),
    large: z
      .union([z.string(), endpointSchema])
      .describe("GGUF file, or endpoint, that is asked where the first is not sure"),
    threshold: z.number().min(0).describe("the first model's answer is taken from this confidence on; above 1 never"),
    of: z
      .enum(["answers", "choices"])
      .describe(
        "what the confidence is of: the tokens of an answer, or one of several choices, which no server is asked for",
      ),
    pattern: z
      .string()
      .refine(isExpression, "is no regular expression")
      .optional()
      .describe("regular expression, flag u, that an answer of the first model must match"),
    evidence: z
      .strictObject({
        verdict: z.enum(["ACCEPT", "REJECT", "NEED_MORE"]),
        keep: share.describe("share of the large model's score that was to be kept"),
        task: z.strictObject({ name: z.string(), sha256: z.string() }),
        sha256: z.strictObject({ small: z.string(), large: z.string() }).describe("of the models' files"),
        seed: z.number().int(),
        chosenOn: z.strictObject({ cases: z.number().int(), smallShare: share }),
        confirmedOn: z.strictObject({
          cases: z.number().int(),
          smallShare: share.describe("share of the cases that the small model answered"),
          kept: z
            .strictObject({ mean: z.number(), low: z.number(), high: z.number() })
            .describe("share of the large model's score, with an interval that holds at any moment"),
          score: z.strictObject({ small: share, large: share, cascade: share }),
        }),
        saved: z
          .strictObject({
            requests: share.describe("share of the large model's requests"),
            compute: z
              .number()
              .max(1)
              .describe(
                "share of parameters × tokens, with those of the small model counted; below 0 where it costs more",
              ),
          })
          .describe("in place of the large model alone, on the cases of the confirmation"),
      })
      .optional(),
  })
  .describe("what `pare fit --cascade --json` prints, and what it writes for `pare serve --cascade`");

export type Cascade = z.infer<typeof cascadeSchema>;
export type Endpoint = z.infer<typeof endpointSchema>;

/**
 * Reads a cascade; paths in it are made absolute.
 *
 * @throws {FormatError} when it can't be read or is none
 */
export async function readCascade(path: string): Promise<Cascade> {
  const cascade = await parse(path);
  const absolute = (file: string): string => resolve(dirname(path), file);
  const { small, large } = cascade;
  return { ...cascade, small: absolute(small), large: typeof large === "string" ? absolute(large) : large };
}

async function parse(path: string): Promise<Cascade> {
  try {
    return cascadeSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    const issue = error instanceof z.ZodError ? error.issues[0] : undefined;
    const reason = issue ? `"${issue.path.join(".")}": ${issue.message}` : whyUnreadable(error);
    throw new FormatError(path, `Cannot read cascade "${path}": ${reason}`, { cause: error });
  }
}
