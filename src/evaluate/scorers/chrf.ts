// chrF: how many runs of characters an answer shares with a reference text. It needs no words, no embedding and no language
// (Popović, 2015, "chrF: character n-gram F-score for automatic MT evaluation", aclanthology.org/W15-3049; β = 2 after
// Popović, 2016, W16-2341). White space does not count. Parity with sacrebleu 2's sentence_chrf: chrf.test.ts.
import type { TaskCase } from "../task.js";
import { normalizeText } from "./exact.js";
import type { Score, Scorer } from "./scorer.js";

const ORDER_MAX = 6; // runs of 1 to 6 characters, as in the paper
const BETA = 2; // recall counts twice as much as precision

export const chrf: Scorer = {
  name: "chrf",
  summary: "how much of the text in `expect` (one, or the best of a list) the answer has, by runs of characters",
  check({ expect }) {
    if (expect === undefined) return undefined;
    const references = [expect].flat();
    const areTexts =
      references.length > 0 && references.every((text) => typeof text === "string" && text.trim() !== "");
    return areTexts ? undefined : '"expect" must be a text or a list of texts';
  },
  needsBaseline: (taskCase) => taskCase.expect === undefined,
  score(answer, taskCase, baselineAnswer = ""): Score {
    const value = Math.max(...referencesOf(taskCase, baselineAnswer).map((text) => chrfOf(answer, text)));
    return value === 1 ? { value } : { value, explanation: `chrF ${(100 * value).toFixed(1)} of 100` };
  },
  expected: (taskCase, baselineAnswer = "") => referencesOf(taskCase, baselineAnswer)[0]!,
};

function referencesOf({ expect = [] }: TaskCase, baselineAnswer: string): string[] {
  const references = [expect].flat() as string[];
  return references.length > 0 ? references : [baselineAnswer];
}

/**
 * Character n-gram F-score of two texts: (1 + β²) · P · R ÷ (β² · P + R), precision P and recall R averaged over the lengths n
 * that both texts have runs of.
 *
 * @returns 0 to 1
 */
export function chrfOf(hypothesis: string, reference: string): number {
  const [ours, theirs] = [charactersOf(hypothesis), charactersOf(reference)];
  let [precision, recall, orders] = [0, 0, 0];
  for (let n = 1; n <= Math.min(ORDER_MAX, ours.length, theirs.length); n++) {
    const [a, b] = [runsOf(ours, n), runsOf(theirs, n)];
    let shared = 0;
    for (const [run, count] of a) shared += Math.min(count, b.get(run) ?? 0);
    precision += shared / (ours.length - n + 1);
    recall += shared / (theirs.length - n + 1);
    orders++;
  }
  if (precision + recall === 0) return 0;
  return ((1 + BETA ** 2) * precision * recall) / (BETA ** 2 * precision + recall) / orders;
}

function charactersOf(text: string): string[] {
  return [...normalizeText(text).replaceAll(/\s+/gu, "")];
}

function runsOf(characters: readonly string[], n: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (let at = 0; at + n <= characters.length; at++) {
    const run = characters.slice(at, at + n).join("");
    counts.set(run, (counts.get(run) ?? 0) + 1);
  }
  return counts;
}
