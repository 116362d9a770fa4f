// Instructions that can be checked by counting: length, words that must or must not occur, how it begins and ends (the idea is that of
// Zhou et al., 2023, "Instruction-following evaluation for large language models", arXiv:2311.07911).
import { z } from "zod";

import type { TaskCase } from "../task.js";
import { normalizeText } from "./exact.js";
import type { Score, Scorer } from "./scorer.js";

const COUNTED = ["words", "sentences", "lines", "paragraphs", "bullets"] as const;
const count = z.number().int().min(0);

export const constraintSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.enum(COUNTED), min: count.optional(), max: count.optional() }),
  z.strictObject({
    kind: z.literal("contains"),
    text: z.string().min(1),
    min: count.optional(),
    max: count.optional(),
  }),
  z.strictObject({ kind: z.enum(["avoids", "starts", "ends"]), text: z.string().min(1) }),
  z.strictObject({ kind: z.enum(["upper", "lower", "json", "quoted"]) }),
]);

/** Something that an answer must be like. Lengths are whole numbers; texts are found in either case, words only whole. */
export type Constraint = z.infer<typeof constraintSchema>;

export const constraints: Scorer = {
  name: "constraints",
  summary: "the answer keeps every one of `constraints`; with `partial`, the share that it keeps",
  check(taskCase) {
    if (!taskCase.constraints?.length) return 'the scorer "constraints" needs "constraints"';
    const idle = taskCase.constraints.find(
      (one) => (COUNTED as readonly string[]).includes(one.kind) && !("min" in one) && !("max" in one),
    );
    return idle && `the constraint "${idle.kind}" needs "min" or "max"`;
  },
  needsBaseline: () => false,
  score(answer, taskCase): Score {
    const parts = Object.fromEntries(taskCase.constraints!.map((one) => [nameOf(one), Number(keeps(answer, one))]));
    const broken = Object.keys(parts).filter((name) => parts[name] === 0);
    if (broken.length === 0) return { value: 1, parts };
    const kept = 1 - broken.length / Object.keys(parts).length;
    return { value: taskCase.partial ? kept : 0, explanation: `it breaks ${broken.join(", ")}`, parts };
  },
  expected: ({ constraints = [] }: TaskCase) => constraints.map(nameOf).join(", "),
};

/** A constraint in a few words, such as `words 10 to 20`. */
export function nameOf(constraint: Constraint): string {
  const { kind } = constraint;
  const text = "text" in constraint ? ` ${JSON.stringify(constraint.text)}` : "";
  if (!("min" in constraint) && !("max" in constraint)) return `${kind}${text}`;
  const { min, max } = constraint as { min?: number; max?: number };
  if (min === max) return `${kind}${text} exactly ${min}`;
  const range = max === undefined ? `at least ${min}` : min === undefined ? `at most ${max}` : `${min} to ${max}`;
  return `${kind}${text} ${range}`;
}

/** Whether an answer is like a constraint wants it. */
export function keeps(answer: string, constraint: Constraint): boolean {
  const text = normalizeText(answer);
  switch (constraint.kind) {
    case "contains": {
      const { min = constraint.max === undefined ? 1 : 0, max = Infinity } = constraint;
      return isWithin(occurrences(text, constraint.text), min, max);
    }
    case "avoids":
      return occurrences(text, constraint.text) === 0;
    case "starts":
      return text.toLowerCase().startsWith(constraint.text.toLowerCase());
    case "ends":
      return text.toLowerCase().endsWith(constraint.text.toLowerCase());
    case "upper":
      return text !== "" && text === text.toUpperCase();
    case "lower":
      return text !== "" && text === text.toLowerCase();
    case "quoted":
      return text.length > 1 && text.startsWith('"') && text.endsWith('"');
    case "json":
      return isJson(text);
    default:
      return isWithin(COUNTS[constraint.kind](text), constraint.min ?? 0, constraint.max ?? Infinity);
  }
}

const COUNTS: Record<(typeof COUNTED)[number], (text: string) => number> = {
  words: (text) => text.match(/[\p{L}\p{N}]+(?:['’-][\p{L}\p{N}]+)*/gu)?.length ?? 0,
  sentences: (text) => text.match(/[^.!?…\s][^.!?…]*(?:[.!?…]+(?=\s|["')\]]|$)|$)/gu)?.length ?? 0,
  lines: (text) => text.split("\n").filter((line) => line.trim() !== "").length,
  paragraphs: (text) => text.split(/\n\s*\n/u).filter((part) => part.trim() !== "").length,
  bullets: (text) => text.match(/^\s*[-*•]\s+\S/gmu)?.length ?? 0,
};

function isWithin(value: number, low: number, high: number): boolean {
  return value >= low && value <= high;
}

/** How often a text occurs, in either case; one that begins or ends as a word only where a word does. */
function occurrences(text: string, wanted: string): number {
  const escaped = wanted.replaceAll(/[.*+?^${}()|[\]\\/-]/gu, "\\$&");
  const before = /^[\p{L}\p{N}]/u.test(wanted) ? "(?<![\\p{L}\\p{N}])" : "";
  const after = /[\p{L}\p{N}]$/u.test(wanted) ? "(?![\\p{L}\\p{N}])" : "";
  return text.match(new RegExp(`${before}${escaped}${after}`, "giu"))?.length ?? 0;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
