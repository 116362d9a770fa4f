// What a scorer is: it turns an answer and a case into a score with its reason. It never runs the model that is measured.
import type { TaskCase } from "../task.js";

/** The outcome for one answer. What can't be scored has `value: null` and says why; it is never a silent 0. */
export interface Score {
  /** 0 (wrong) to 1 (right); null where the answer can't be judged. */
  value: number | null;
  /** Why it is not 1, as a phrase. */
  explanation?: string;
  /** What was looked at one by one, such as fields of an object or constraints, each 0 to 1. */
  parts?: Record<string, number>;
  /** The label that the answer was read as; "" where it names none. */
  label?: string;
}

export interface Scorer {
  readonly name: string;
  /** One line for the list of scorers. */
  readonly summary: string;
  /** True when it runs code that comes with the task, which has to be allowed. */
  readonly runsCode?: boolean;
  /** True when another model scores, once all answers are there; see judge/. */
  readonly asksModel?: boolean;
  /** What the case lacks for this scorer, as a phrase, or undefined when it is complete. Called once, while the task is read. */
  check(taskCase: TaskCase): string | undefined;
  /** True when the case can be scored only against an answer of the baseline. */
  needsBaseline(taskCase: TaskCase): boolean;
  /** What an answer scores beside itself, where the case needs a baseline; 1 unless given. */
  readonly selfScore?: number;
  /** @param baselineAnswer the baseline's answer, where the case needs one */
  score(answer: string, taskCase: TaskCase, baselineAnswer?: string): Score | Promise<Score>;
  /** What the case expects, as text for a report. */
  expected(taskCase: TaskCase, baselineAnswer?: string): string;
}

/** Shortens a text to one quotable line. */
export function quoted(text: string, charactersMax = 80): string {
  const characters = [...text];
  return JSON.stringify(characters.length > charactersMax ? `${characters.slice(0, charactersMax).join("")}…` : text);
}
