// Who judges answers, and by what: a `judge` in a case, or in a task's header for all of them.
import { z } from "zod";

export const judgeSchema = z.strictObject({
  model: z.string().min(1).describe("GGUF file beside the task; with endpoint, what the model is called there"),
  endpoint: z.string().min(1).optional().describe("address of an OpenAI-compatible API, up to /v1"),
  keyEnv: z
    .string()
    .regex(/^[A-Za-z_]\w*$/u, "it must be the name of an environment variable, never a key itself")
    .optional()
    .describe("environment variable that holds the endpoint's key"),
  rubric: z.string().min(1).optional().describe("what makes an answer good"),
  grades: z.number().int().min(2).max(100).optional().describe("grade each answer alone, from 1 to this"),
  maxTokens: z.number().int().min(1).max(1_000_000).optional().describe("tokens of the judge's answer at most"),
});

/** With `grades`, an answer is graded alone; without, it is compared with what is expected or what the baseline says. */
export type JudgeSettings = z.infer<typeof judgeSchema>;

/** What a judge is called in results; never with its key. */
export function nameOfJudge({ model, endpoint }: JudgeSettings): string {
  return endpoint === undefined ? model : `${endpoint}#${model}`;
}
