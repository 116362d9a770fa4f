// Classification: what was taken for what, and the F1 of each label.
import { expectedLabel } from "./scorers/label.js";
import type { CaseResult } from "./task-result.js";
import type { TaskCase } from "./task.js";

export interface Confusion {
  /** The labels of rows and columns; the last column is for answers that name none. */
  labels: string[];
  /** `matrix[expected][found]`: number of cases. */
  matrix: number[][];
  perLabel: Record<string, { precision: number; recall: number; f1: number; cases: number }>;
  /** Mean F1 of the labels that some case expects, each counting the same. */
  macroF1: number;
}

/**
 * Counts what was taken for what.
 *
 * @returns undefined where no case expects a label
 */
export function confusionOf(cases: readonly TaskCase[], perCase: readonly CaseResult[]): Confusion | undefined {
  const pairs = cases.flatMap((taskCase, index) => {
    const { label, score } = perCase[index]!;
    const expected = taskCase.scorer === "label" ? expectedLabel(taskCase) : undefined;
    return expected === undefined || score === null || label === undefined ? [] : [{ expected, found: label }];
  });
  if (pairs.length === 0) return undefined;
  const labels = [...new Set(cases.flatMap(({ labels = [] }) => labels))];
  const column = new Map([...labels, ""].map((label, index) => [label, index]));
  const matrix = labels.map(() => Array.from({ length: labels.length + 1 }, () => 0));
  for (const { expected, found } of pairs) matrix[column.get(expected)!]![column.get(found)!]!++;
  const perLabel = Object.fromEntries(labels.map((label, index) => [label, scoresOf(matrix, index)]));
  const present = Object.values(perLabel).filter((one) => one.cases > 0);
  return { labels, matrix, perLabel, macroF1: present.reduce((sum, { f1 }) => sum + f1, 0) / present.length };
}

/** F1 is 2 · right ÷ (expected + found): 0 for a label that is never found. */
function scoresOf(matrix: readonly (readonly number[])[], index: number): Confusion["perLabel"][string] {
  const right = matrix[index]![index]!;
  const cases = matrix[index]!.reduce((a, b) => a + b, 0);
  const found = matrix.reduce((sum, row) => sum + row[index]!, 0);
  return {
    precision: found === 0 ? 0 : right / found,
    recall: cases === 0 ? 0 : right / cases,
    f1: cases + found === 0 ? 0 : (2 * right) / (cases + found),
    cases,
  };
}
