// `evidence.jsonl`: every case that a verdict by cases rests on, in the order of drawing, one trial a line. With it anyone can work
// the statistic out again; the certificate holds its hash.
import { z } from "zod";

import { FormatError } from "../errors.js";
import type { CaseDraw } from "../evaluate/paired-trial.js";
import { canonicalJson } from "../support/canonical-json.js";

export const EVIDENCE_FILE = "evidence.jsonl";

/** Of the draws, in columns: case, its probability, the least probability there was, baseline's and candidate's score. */
const drawSchema = z.tuple([
  z.string(),
  z
    .number()
    .gt(0)
    .max(1 + 1e-9),
  z
    .number()
    .gt(0)
    .max(1 + 1e-9),
  z.number().min(0).max(1),
  z.number().min(0).max(1),
]);

export const trialEvidenceSchema = z.strictObject({
  candidate: z.string().describe("the trial's id in the certificate"),
  part: z.enum(["selection", "confirmation"]),
  draws: z.array(drawSchema),
});

export interface TrialEvidence {
  candidate: string;
  part: "selection" | "confirmation";
  draws: CaseDraw[];
}

export function renderEvidence(trials: readonly TrialEvidence[]): string {
  return trials
    .map(({ candidate, part, draws }) => {
      const columns = draws.map((draw) => [
        draw.id.replace(/\p{Surrogate}/gu, "\ufffd"),
        draw.probability,
        draw.least,
        draw.baseline,
        draw.candidate,
      ]);
      return `${canonicalJson({ candidate, part, draws: columns })}\n`;
    })
    .join("");
}

/** @throws {FormatError} with the line's number when it is no evidence */
export function parseEvidence(text: string, path: string): TrialEvidence[] {
  return text
    .split("\n")
    .slice(0, -1)
    .map((line, index) => {
      const parsed = trialEvidenceSchema.safeParse(parseJson(line));
      if (!parsed.success) {
        const { message, path: field } = parsed.error.issues[0]!;
        throw new FormatError(
          path,
          `Cannot read evidence "${path}": line ${index + 1}: "${field.join(".")}": ${message}`,
        );
      }
      const { candidate, part, draws } = parsed.data;
      return {
        candidate,
        part,
        draws: draws.map(([id, probability, least, baseline, scored]) => ({
          id,
          probability,
          least,
          baseline,
          candidate: scored,
        })),
      };
    });
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined; // the schema says what is wanted
  }
}
