// What a judge has said already. A question is known by its words and by whom it goes to, so that whoever gives the same answer to the same
// case gets the same verdict, and a run that was interrupted pays for no call twice.
import { stat } from "node:fs/promises";
import { basename } from "node:path";

import { sha256 } from "../../support/files.js";
import type { ChatMessage } from "../task.js";
import type { JudgeSettings } from "./judge-settings.js";

/** What a judge said, or why it said nothing. */
export type JudgeAnswer = { text: string } | { problem: string };

/** Keeps answers; a journal is one. */
export interface JudgeMemory {
  has(key: string): boolean;
  /** The answer: remembered, or asked for now and kept. */
  step(key: string, ask: () => Promise<JudgeAnswer>): Promise<JudgeAnswer>;
}

const PREFIX = "judge ";

/** Where nothing is kept longer than a run. */
export class ShortMemory implements JudgeMemory {
  readonly #answers = new Map<string, JudgeAnswer>();

  has(key: string): boolean {
    return this.#answers.has(key);
  }

  async step(key: string, ask: () => Promise<JudgeAnswer>): Promise<JudgeAnswer> {
    const answer = this.#answers.get(key) ?? (await ask());
    this.#answers.set(key, answer);
    return answer;
  }
}

/** A memory that begins with what was said elsewhere. @param heard answers by key */
export function recalling(memory: JudgeMemory, heard: ReadonlyMap<string, JudgeAnswer>): JudgeMemory {
  return {
    has: (key) => memory.has(key) || heard.has(key),
    step: (key, ask) => memory.step(key, async () => heard.get(key) ?? (await ask())),
  };
}

/** Whether a step of a journal holds what a judge said. */
export function isJudgeKey(key: string): boolean {
  return key.startsWith(PREFIX);
}

/**
 * Makes keys for questions to a judge.
 *
 * A file counts by its name, its size and when it was changed, so that another judge in its place is asked anew.
 *
 * @throws {Error} when a file is absent
 */
export async function keysFor(
  { endpoint, model }: JudgeSettings,
  maxTokens: number,
): Promise<(messages: readonly ChatMessage[]) => string> {
  const judge = endpoint === undefined ? await fileIdentity(model) : [endpoint, model];
  return (messages) => `${PREFIX}${sha256(JSON.stringify([judge, maxTokens, messages])).slice(0, 32)}`;
}

async function fileIdentity(path: string): Promise<unknown[]> {
  const { size, mtimeMs } = await stat(path);
  return [basename(path), size, mtimeMs];
}
