// The cases of one candidate with what the baseline and it answered, to be browsed: from the journal, and the questions from the task.
import { readTask } from "../evaluate/tasks/read-task.js";
import type { TaskCase } from "../evaluate/task.js";
import { type RunPlace, measurementOf, readJournal } from "./run-view.js";

export interface CaseView {
  id: string;
  part: string;
  tags: readonly string[];
  asked: string;
  expected: string;
  baseline: { score: number; shown: string };
  candidate: { score: number; shown: string };
}

/** In the order in which they were drawn, those of the confirmation part last. */
export async function readCases(place: RunPlace, candidate: string, taskPath: string): Promise<CaseView[]> {
  const entries = await readJournal(place.journal);
  const questions = await questionsOf(taskPath);
  return entries.flatMap((entry) => {
    const found = measurementOf(entry);
    if (found?.candidate !== candidate || !found.measurement.draws) return [];
    const { part, measurement } = found;
    const prefix = `cases:${candidate}:${part}:candidate:`;
    const answers = entries
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => Number(a.key.slice(prefix.length)) - Number(b.key.slice(prefix.length)))
      .flatMap(({ value }) => value as { shown?: string }[]);
    return measurement.draws!.map((draw, index): CaseView => {
      const question = questions.get(draw.id);
      return {
        id: draw.id,
        part,
        tags: question?.tags ?? [],
        asked: question ? askedText(question) : "",
        expected: expectedText(question),
        baseline: { score: draw.baseline, shown: measurement.baselineShown?.[draw.id] ?? "" },
        candidate: { score: draw.candidate, shown: answers[index]?.shown ?? "" },
      };
    });
  });
}

/** Without the task's file, cases have no question but all else. */
async function questionsOf(path: string): Promise<Map<string, TaskCase>> {
  const task = await readTask(path).catch(() => undefined);
  return new Map(task?.cases.map((each) => [each.id, each]));
}

function askedText({ prompt, messages = [] }: TaskCase): string {
  return prompt ?? messages.map(({ role, content }) => `${role}: ${content}`).join("\n");
}

function expectedText(question: TaskCase | undefined): string {
  const expect = question?.expect;
  return expect === undefined ? "" : typeof expect === "string" ? expect : JSON.stringify(expect);
}
