// What a built-in suite is made of. A generator draws drafts: what is asked, in several wordings that mean the same, and what is right,
// known because the text was made from the answer. A draft is written as a case in one of its wordings; robustness.ts writes
// the same draft in many.
import type { Random } from "../../support/random.js";

/** A case as it would be written in a task file. */
export interface SuiteCase {
  id: string;
  messages: { role: string; content: string }[];
  tags: string[];
  [field: string]: unknown;
}

export interface Draft {
  /** The instruction, in wordings that mean the same. */
  instructions: readonly string[];
  /** A list that belongs to the instruction, in an order that means nothing. */
  options?: { title: string; items: readonly string[] };
  /** What it is about. */
  text: string;
  /** Scorer, what is right, tokens at most: fields of the case. */
  fields: Record<string, unknown>;
  tags: string[];
  /** Words that must stay as they are, as the answer is made of them. */
  fixed: readonly string[];
}

export interface Suite {
  name: string;
  /** One line for the list. */
  summary: string;
  /** Cases unless another number is asked for. */
  casesDefault: number;
  /** @param index of the case, from 0, for what should be evenly spread, such as depth */
  draw(random: Random, index: number): Draft;
}

/** How a draft is written. */
export interface Writing {
  instruction: string;
  items?: readonly string[] | undefined;
  text: string;
}

/** The message of a draft. */
export function messageOf({ options }: Draft, { instruction, items, text }: Writing): string {
  const list = options
    ? `\n\n${options.title}:\n${(items ?? options.items).map((item) => `- ${item}`).join("\n")}`
    : "";
  return `${instruction}${list}\n\n${text}`;
}

/** The words of a text. */
export function wordsOf(text: string): string[] {
  return text.match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** One of a list. */
export function pick<T>(random: Random, items: readonly T[]): T {
  return items[random.integer(items.length)]!;
}

/** Several different ones of a list. */
export function pickSome<T>(random: Random, items: readonly T[], count: number): T[] {
  return random.shuffled(items).slice(0, count);
}

/** A whole number, both ends included. */
export function between(random: Random, low: number, high: number): number {
  return low + random.integer(high - low + 1);
}
