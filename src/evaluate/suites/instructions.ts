// Short pieces of writing with one to three constraints that can be counted. Those of one case never contradict each other: each is about
// something else, and what must occur is never what must not.
import type { Random } from "../../support/random.js";
import type { Constraint } from "../scorers/constraints.js";
import { type Draft, type Suite, between, pick, pickSome, wordsOf } from "./suite.js";

const TOPICS = [
  "a walk by the sea",
  "learning to ride a bicycle",
  "a rainy afternoon",
  "the smell of fresh bread",
  "a train journey at night",
  "a garden in spring",
  "moving to a new town",
  "an old bookshop",
  "cooking for friends",
  "a lost key",
  "the first snow of the year",
  "a visit to a lighthouse",
  "repairing a chair",
  "a quiet morning",
  "a market on Saturday",
  "waiting for a letter",
] as const;

const FORMS = ["Write a short text about", "Describe", "Write a few lines about", "Tell me something about"] as const;
const WANTED = ["window", "river", "music", "friend", "color", "wind", "story", "table", "light", "street"] as const;
const UNWANTED = ["very", "always", "beautiful", "suddenly", "really", "nice", "good", "maybe"] as const;

interface Wish {
  text: string;
  constraint: Constraint;
}

/** One wish about each of these at most. */
const ASPECTS: readonly ((random: Random) => Wish)[] = [
  (random) =>
    pick(random, [
      () => {
        const max = 10 * between(random, 3, 8);
        return { text: `Use at most ${max} words.`, constraint: { kind: "words", max } as const };
      },
      () => {
        const min = 10 * between(random, 2, 5);
        return { text: `Use at least ${min} words.`, constraint: { kind: "words", min } as const };
      },
      () => {
        const count = between(random, 2, 4);
        return {
          text: `Write exactly ${count} sentences.`,
          constraint: { kind: "sentences", min: count, max: count } as const,
        };
      },
      () => {
        const count = between(random, 3, 5);
        return {
          text: `Write it as a list of exactly ${count} lines that each begin with "- ".`,
          constraint: { kind: "bullets", min: count, max: count } as const,
        };
      },
    ])(),
  (random) => {
    const text = pick(random, WANTED);
    const min = between(random, 1, 2);
    const often = min === 1 ? "" : " at least twice";
    return { text: `Use the word "${text}"${often}.`, constraint: { kind: "contains", text, min } };
  },
  (random) => {
    const text = pick(random, UNWANTED);
    return { text: `Do not use the word "${text}".`, constraint: { kind: "avoids", text } };
  },
  (random) => {
    const [mark, plural] = pick(random, [
      [",", "commas"],
      ["!", "exclamation marks"],
      [";", "semicolons"],
      ["?", "question marks"],
    ] as const);
    return { text: `Do not use any ${plural}.`, constraint: { kind: "avoids", text: mark } };
  },
  (random) => {
    const text = pick(random, ["That was all.", "And so it was.", "The end.", "See you soon."]);
    return pick(random, [
      { text: "Write everything in lower case letters.", constraint: { kind: "lower" } as const },
      { text: "Write everything in capital letters.", constraint: { kind: "upper" } as const },
      { text: `End with exactly these words: ${text}`, constraint: { kind: "ends", text } as const },
    ]);
  },
];

export const instructions: Suite = {
  name: "instructions",
  summary: "short texts with one to three constraints that are checked by counting; also scored one by one",
  casesDefault: 240,
  draw(random, index): Draft {
    const wishes = pickSome(random, ASPECTS, 1 + (index % 3)).map((aspect) => aspect(random));
    const text = `${pick(random, FORMS)} ${pick(random, TOPICS)}. ${wishes.map((wish) => wish.text).join(" ")}`;
    return {
      instructions: [
        "Follow the instruction exactly. Write only the text itself.",
        "Do precisely what is asked, and answer with nothing but the text.",
        "Carry out the following to the letter. Give only the text that is asked for.",
      ],
      text,
      fields: { scorer: "constraints", constraints: wishes.map(({ constraint }) => constraint), maxTokens: 240 },
      tags: [`constraints-${wishes.length}`, ...wishes.map(({ constraint }) => `kind-${constraint.kind}`)],
      fixed: wordsOf(text), // each word may be one that is wanted
    };
  },
};
