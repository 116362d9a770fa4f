// Endpoints seldom tell likelihoods, so a comparison asks choices as a person would: with letters, the same way for all contenders.
import { PareError } from "../errors.js";
import { SCORERS } from "../evaluate/scorers/registry.js";
import type { Task, TaskCase } from "../evaluate/task.js";

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** @throws {PareError} when a case says not what is right, or has more choices than letters */
export function withAskedChoices(task: Task): Task {
  return { ...task, cases: task.cases.map((one) => (one.scorer === "choice" ? asked(one, task.path) : one)) };
}

function asked(taskCase: TaskCase, path: string): TaskCase {
  const { prompt, messages, choices = [], normalize: _, ...rest } = taskCase;
  const at = choices.indexOf(SCORERS.choice.expected(taskCase));
  if (at < 0 || choices.length > LETTERS.length) {
    throw new PareError(
      `Cannot ask line ${taskCase.line} of "${path}": ${at < 0 ? 'it has no "expect"' : "it has too many choices"}`,
    );
  }
  const labels = choices.map((_, index) => LETTERS[index]!);
  const list = choices.map((text, index) => `${labels[index]}. ${text.trim()}`).join("\n");
  const last = messages?.at(-1);
  const question = `${(last?.content ?? prompt ?? "").trim()}\n\n${list}\n\nAnswer with the letter alone.`;
  return {
    ...rest,
    messages: [...(messages?.slice(0, -1) ?? []), { role: last?.role ?? "user", content: question }],
    scorer: "label",
    labels,
    expect: labels[at],
    maxTokens: taskCase.maxTokens ?? 8,
  };
}
