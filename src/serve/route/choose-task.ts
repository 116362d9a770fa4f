// What a request is for, by what it says: the first rule that holds. The same request always gets the same task.
import type { RouteFile, RouteRule } from "./route-file.js";

/** What rules look at. */
export interface Traits {
  /** The system prompt, or "". */
  system: string;
  /** The user's last message, or the prompt. */
  user: string;
  /** UTF-16 units of all messages together. */
  characters: number;
  hasTools: boolean;
  wantsJson: boolean;
}

/** A task, and why it is that. */
export interface ChosenTask {
  task: string;
  /** `rule 1`, or `default`. */
  by: string;
}

export function chooseTask(
  { rules, default: otherwise }: Pick<RouteFile, "rules"> & { default: string },
  traits: Traits,
): ChosenTask {
  const index = rules.findIndex((rule) => holds(rule, traits));
  return index < 0 ? { task: otherwise, by: "default" } : { task: rules[index]!.task, by: `rule ${index + 1}` };
}

/** Characters at either end of a text that expressions look at: what clients send must not keep the server. */
const LOOKED_AT = 4096;

function ends(text: string): string {
  return text.length <= 2 * LOOKED_AT ? text : `${text.slice(0, LOOKED_AT)}\n${text.slice(-LOOKED_AT)}`;
}

function holds(rule: RouteRule, { system, user, characters, hasTools, wantsJson }: Traits): boolean {
  return (
    (rule.system?.test(ends(system)) ?? true) &&
    (rule.user?.test(ends(user)) ?? true) &&
    (rule.tools ?? hasTools) === hasTools &&
    (rule.json ?? wantsJson) === wantsJson &&
    characters >= (rule.minCharacters ?? 0) &&
    characters <= (rule.maxCharacters ?? Infinity)
  );
}

/** Traits of a conversation, whichever API it came by. */
export function traitsOf(
  messages: readonly { role: string; content?: string | readonly { text: string }[] | null | undefined }[],
  { hasTools = false, wantsJson = false } = {},
): Traits {
  const texts = messages.map(({ role, content }) => ({
    role,
    text: typeof content === "string" ? content : (content ?? []).map(({ text }) => text).join("\n"),
  }));
  return {
    system: texts
      .filter(({ role }) => role === "system" || role === "developer")
      .map(({ text }) => text)
      .join("\n"),
    user: texts.findLast(({ role }) => role === "user")?.text ?? "",
    characters: texts.reduce((sum, { text }) => sum + text.length, 0),
    hasTools,
    wantsJson,
  };
}

/** Traits of prompts without roles; of tokens only that they are there. */
export function traitsOfPrompts(prompt: string | readonly (string | number | readonly number[])[]): Traits {
  const texts = [prompt].flat().filter((one) => typeof one === "string");
  return traitsOf([{ role: "user", content: texts.join("\n") }]);
}
