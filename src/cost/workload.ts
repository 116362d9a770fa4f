// What is asked of a model, and on what terms: the request that costs are about.
import { z } from "zod";

export const workloadSchema = z.object({
  promptTokens: z.number().int().min(1),
  answerTokens: z.number().int().min(1),
  concurrency: z.number().int().min(1).describe("answers at once"),
  utilisation: z.number().gt(0).max(1).describe("share of the hours paid for in which it works"),
});

export type Workload = z.infer<typeof workloadSchema>;

export const WORKLOAD_DEFAULT: Workload = { promptTokens: 512, answerTokens: 128, concurrency: 1, utilisation: 0.5 };

/**
 * Reads `512+128` (tokens of prompt and answer) or `512+128x4` (four at once).
 *
 * @throws {RangeError} when it is none
 */
export function parseWorkload(text: string): Pick<Workload, "promptTokens" | "answerTokens" | "concurrency"> {
  const match = /^\s*(\d+)\s*\+\s*(\d+)\s*(?:x\s*(\d+))?\s*$/i.exec(text);
  const [promptTokens, answerTokens, concurrency] = [1, 2, 3].map((group) => Number(match?.[group] ?? 1));
  if (!match || !isCount(promptTokens!) || !isCount(answerTokens!) || !isCount(concurrency!)) {
    throw new RangeError(
      `"${text}" is no workload; write tokens of prompt and answer such as 512+128, or 512+128x4 for four at once`,
    );
  }
  return { promptTokens: promptTokens!, answerTokens: answerTokens!, concurrency: concurrency! };
}

function isCount(value: number): boolean {
  return value >= 1 && value <= 1 << 24;
}
