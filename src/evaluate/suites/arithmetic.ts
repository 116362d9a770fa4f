// Word problems in one to six steps. The number after each step is known as the story is told; all stay whole and positive.
import type { Random } from "../../support/random.js";
import { type Draft, type Suite, between, pick, pickSome } from "./suite.js";
import { PEOPLE, THINGS } from "./words.js";

const DEPTH_MAX = 6;
const TOTAL_MAX = 2000; // beyond, it is long multiplication that is tested

interface Story {
  name: string;
  other: string;
  things: string;
  total: number;
}

/** A step tells what happens, or is undefined where the number does not allow it. */
type Step = (story: Story, random: Random) => { text: string; total: number } | undefined;

const STEPS: readonly Step[] = [
  ({ name, things, total }, random) => {
    const count = between(random, 3, 60);
    const text = pick(random, [
      `${name} finds ${count} more ${things}.`,
      `Then ${name} buys another ${count} ${things}.`,
      `A neighbour brings ${name} ${count} ${things}.`,
    ]);
    return { text, total: total + count };
  },
  ({ name, other, things, total }, random) => {
    if (total < 12) return undefined;
    const count = between(random, 2, total - 4);
    const text = pick(random, [
      `${name} gives ${count} of the ${things} to ${other}.`,
      `${name} loses ${count} ${things}.`,
      `After that, ${name} sells ${count} ${things}.`,
    ]);
    return { text, total: total - count };
  },
  ({ name, things, total }, random) => {
    const [packs, each] = [between(random, 2, 9), between(random, 3, 12)];
    const text = pick(random, [
      `${name} gets ${packs} boxes with ${each} ${things} in each.`,
      `${name} opens ${packs} bags, each with ${each} ${things} inside, and keeps them all.`,
    ]);
    return { text, total: total + packs * each };
  },
  ({ name, things, total }, random) => {
    const factor = between(random, 2, 4);
    if (total * factor > TOTAL_MAX) return undefined;
    const word = ["twice", "three times", "four times"][factor - 2]!;
    return { text: `A week later ${name} has ${word} as many ${things} as before.`, total: total * factor };
  },
  ({ name, other, things, total }, random) => {
    const parts = [2, 3, 4, 5].filter((one) => total % one === 0 && total / one > 2);
    if (parts.length === 0) return undefined;
    const count = pick(random, parts);
    const text =
      count === 2
        ? `${name} gives half of the ${things} to ${other}.`
        : `${name} divides the ${things} evenly into ${count} piles, keeps one pile and gives the others away.`;
    return { text, total: total / count };
  },
];

export const arithmetic: Suite = {
  name: "arithmetic",
  summary: "word problems in one to six steps; the last number of the answer counts",
  casesDefault: 240,
  draw(random, index): Draft {
    const depth = 1 + (index % DEPTH_MAX);
    const [name, other] = pickSome(random, PEOPLE, 2) as [string, string];
    const story: Story = { name, other, things: pick(random, THINGS), total: between(random, 8, 90) };
    const sentences = [`${name} has ${story.total} ${story.things}.`];
    let last = -1;
    while (sentences.length <= depth) {
      const kind = random.integer(STEPS.length);
      const step = kind === last ? undefined : STEPS[kind]!(story, random);
      if (!step) continue;
      last = kind;
      story.total = step.total;
      sentences.push(step.text);
    }
    sentences.push(`How many ${story.things} does ${name} have now?`);
    return {
      instructions: [
        "Solve the problem step by step. End with the result as a number.",
        "Work through this problem. Write the final number last.",
        "Think about the following and finish your answer with the number that is asked for.",
      ],
      text: sentences.join(" "),
      fields: { scorer: "numeric", expect: story.total, maxTokens: 320 },
      tags: [`depth-${depth}`],
      fixed: [name, other, story.things],
    };
  },
};
