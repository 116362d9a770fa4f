// Puzzles with exactly one solution, which is found by trying all: people in a row, and people of whom some always lie. Clues are added
// until only one arrangement is left.
import type { Random } from "../../support/random.js";
import { type Draft, type Suite, pick, pickSome } from "./suite.js";
import { PEOPLE } from "./words.js";

const ROW_MIN = 3;
const ROW_MAX = 6;
const ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth"] as const;

export const logic: Suite = {
  name: "logic",
  summary: "people in a row, liars and truth-tellers; one solution each, three to six people",
  casesDefault: 240,
  draw: (random, index) => (index % 3 === 2 ? drawLiars(random, index) : drawRow(random, index)),
};

interface Clue {
  text: string;
  holds(row: readonly string[]): boolean;
}

function drawRow(random: Random, index: number): Draft {
  const size = ROW_MIN + (Math.floor(index / 3) % (ROW_MAX - ROW_MIN + 1));
  const people = pickSome(random, PEOPLE, size);
  let left = permutations(people);
  const chosen: Clue[] = [];
  for (const clue of random.shuffled(cluesOf(people))) {
    if (left.length === 1) break;
    const after = left.filter((row) => clue.holds(row));
    if (after.length === left.length) continue; // it says nothing new
    left = after;
    chosen.push(clue);
  }
  const at = random.integer(size);
  const [listed, asked] = [random.shuffled(people), `Who is ${ORDINALS[at]} from the left?`];
  const text = `${inWords(listed)} stand in a row. ${chosen.map((clue) => clue.text).join(" ")} ${asked}`;
  return puzzle(text, people, left[0]![at]!, ["row", `people-${size}`]);
}

/** Every true statement about the row of some forms; "left" and "right" as the reader sees it. */
function cluesOf(row: readonly string[]): Clue[] {
  return row.flatMap((name, at) => [
    {
      text: `${name} is not ${ORDINALS[(at + 1) % row.length]} from the left.`,
      holds: (other: readonly string[]) => other.indexOf(name) !== (at + 1) % row.length,
    },
    ...row.slice(at + 1).map((next) => ({
      text: `${name} is somewhere to the left of ${next}.`,
      holds: (other: readonly string[]) => other.indexOf(name) < other.indexOf(next),
    })),
    ...row.slice(at + 1, at + 2).map((next) => ({
      text: `${next} is directly to the right of ${name}.`,
      holds: (other: readonly string[]) => other.indexOf(next) === other.indexOf(name) + 1,
    })),
    ...row.slice(at + 2, at + 3).map((next) => ({
      text: `Exactly one person is between ${name} and ${next}.`,
      holds: (other: readonly string[]) => Math.abs(other.indexOf(next) - other.indexOf(name)) === 2,
    })),
  ]);
}

/** What somebody says of others. */
interface Statement {
  speaker: string;
  text: string;
  isTrue(liars: ReadonlySet<string>): boolean;
}

function drawLiars(random: Random, index: number): Draft {
  const size = ROW_MIN + (Math.floor(index / 3) % 3);
  const people = pickSome(random, PEOPLE, size);
  for (;;) {
    const statements = people.map((speaker) => statementOf(random, speaker, people));
    const worlds = liarWorlds(people).filter((liars) =>
      statements.every(({ speaker, isTrue }) => isTrue(liars) !== liars.has(speaker)),
    );
    if (worlds.length !== 1) continue;
    const said = statements.map(({ text }) => text).join(" ");
    const text = `Exactly one of ${inWords(people)} always lies; the others always tell the truth. ${said} Who lies?`;
    return puzzle(text, people, [...worlds[0]!][0]!, ["liar", `people-${size}`]);
  }
}

function statementOf(random: Random, speaker: string, people: readonly string[]): Statement {
  const others = random.shuffled(people.filter((one) => one !== speaker));
  const [one, two] = others as [string, string];
  const forms: Omit<Statement, "speaker">[] = [
    { text: `${speaker} says: "${one} tells the truth."`, isTrue: (liars) => !liars.has(one) },
    { text: `${speaker} says: "${one} lies."`, isTrue: (liars) => liars.has(one) },
    { text: `${speaker} says: "Either ${one} or ${two} lies."`, isTrue: (liars) => liars.has(one) !== liars.has(two) },
  ];
  return { speaker, ...pick(random, forms) };
}

/** Each one the only liar. */
function liarWorlds(people: readonly string[]): ReadonlySet<string>[] {
  return people.map((liar) => new Set([liar]));
}

function puzzle(text: string, people: readonly string[], answer: string, tags: string[]): Draft {
  return {
    instructions: [
      "Solve the puzzle. Answer with the name alone.",
      "Find the one solution of this puzzle and reply with just the name.",
      "Who is it? Give only the name as your answer.",
    ],
    text,
    fields: { scorer: "label", labels: people, expect: answer, maxTokens: 24 },
    tags,
    fixed: people,
  };
}

function permutations(items: readonly string[]): string[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, at) => permutations(items.toSpliced(at, 1)).map((rest) => [item, ...rest]));
}

function inWords(names: readonly string[]): string {
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
