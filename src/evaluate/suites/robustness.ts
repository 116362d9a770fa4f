// Does a model still know when the same is said a little differently? Each draft of other suites is asked as it is, with typing errors, in
// other letters, in another wording, with its options in another order, beside sentences that have nothing to do with it, and
// behind a long text that has nothing to do with it. What is right stays right, as only words are touched that no answer is made of.
import type { Random } from "../../support/random.js";
import { arithmetic } from "./arithmetic.js";
import { classification } from "./classification.js";
import { grounded } from "./grounded.js";
import { type Draft, type Suite, type SuiteCase, type Writing, messageOf, pick, pickSome } from "./suite.js";
import { toolCalls } from "./tool-calls.js";
import { ASIDES } from "./words.js";

const BASES: readonly Suite[] = [classification, grounded, arithmetic, toolCalls];
const TYPO_SHARE = 0.2; // of the words that may have one
const LONG_SENTENCES = 60; // some 700 tokens
const PLAIN_WORDS = /(?<!\p{L})[A-Za-z][a-z]+(?![\p{L}'’])/gu;

type Variant = (draft: Draft, plain: Writing, random: Random) => Writing;

const VARIANTS = {
  original: (_, plain) => plain,
  typos: (draft, plain, random) => ({ ...plain, text: withTypos(plain.text, draft.fixed, random) }),
  "lower-case": (draft, plain) => ({ ...plain, text: inCase(plain.text, draft.fixed, (word) => word.toLowerCase()) }),
  "upper-case": (draft, plain) => ({ ...plain, text: inCase(plain.text, draft.fixed, (word) => word.toUpperCase()) }),
  paraphrase: (draft, plain, random) => ({
    ...plain,
    instruction: pick(
      random,
      draft.instructions.filter((one) => one !== plain.instruction),
    ),
  }),
  reordered: (draft, plain, random) => ({ ...plain, items: draft.options && reordered(draft.options.items, random) }),
  distractor: (_, plain, random) => ({ ...plain, text: [...pickSome(random, ASIDES, 2), plain.text].join(" ") }),
  "long-context": (_, plain, random) => ({ ...plain, text: `${filler(random)}\n\n${plain.text}` }),
} as const satisfies Record<string, Variant>;

export const VARIANT_NAMES = Object.keys(VARIANTS) as (keyof typeof VARIANTS)[];

/** Every variant of a draft, the original first; one whose options can't be reordered has none of that. */
export function variantsOf(draft: Draft, random: Random): (Draft["fields"] & Pick<SuiteCase, "messages" | "tags">)[] {
  const plain: Writing = { instruction: draft.instructions[0]!, text: draft.text };
  return VARIANT_NAMES.filter((name) => name !== "reordered" || draft.options !== undefined).map((name) => ({
    messages: [{ role: "user", content: messageOf(draft, VARIANTS[name](draft, plain, random.fork(name))) }],
    ...draft.fields,
    tags: [name],
  }));
}

/** Draws the base of a group of variants. */
export function drawBase(random: Random, index: number): Draft {
  return BASES[index % BASES.length]!.draw(random, Math.floor(index / BASES.length));
}

/** One letter wrong in some words, in one at least: left out, doubled, or swapped with the next. Numbers and names stay. */
function withTypos(text: string, fixed: readonly string[], random: Random): string {
  const kept = new Set(fixed);
  const isOpen = (word: string): boolean => word.length >= 4 && !kept.has(word);
  const open = [...text.matchAll(PLAIN_WORDS)].filter(([word]) => isOpen(word)).map(({ index }) => index);
  const chosen = new Set(pickSome(random, open, Math.max(1, Math.round(TYPO_SHARE * open.length))));
  return text.replaceAll(PLAIN_WORDS, (word: string, index: number) => {
    if (!chosen.has(index)) return word;
    const at = 1 + random.integer(word.length - 2);
    return pick(random, [
      word.slice(0, at) + word.slice(at + 1),
      word.slice(0, at) + word[at]! + word.slice(at),
      word.slice(0, at) + word[at + 1]! + word[at]! + word.slice(at + 2),
    ]);
  });
}

/** All words that no answer is made of, in other letters. */
function inCase(text: string, fixed: readonly string[], change: (word: string) => string): string {
  const kept = new Set(fixed);
  return text.replaceAll(/[\p{L}]+/gu, (word) => (kept.has(word) ? word : change(word)));
}

function reordered(items: readonly string[], random: Random): readonly string[] {
  for (;;) {
    const other = random.shuffled(items);
    if (other.some((item, index) => item !== items[index])) return other;
  }
}

function filler(random: Random): string {
  return Array.from({ length: LONG_SENTENCES }, () => pick(random, ASIDES)).join(" ");
}
