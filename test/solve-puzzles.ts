// Reads the puzzles of the built-in suites as text and solves them, knowing nothing of how they were made.

const RULES: [RegExp, (total: number, a: number, b: number) => number][] = [
  [/^\w+ has (\d+) \w+\.$/, (_, a) => a],
  [/ finds (\d+) more | buys another (\d+) | brings \w+ (\d+) /, (total, a) => total + a],
  [/ gives (\d+) of the | loses (\d+) | sells (\d+) /, (total, a) => total - a],
  [/ (\d+) boxes with (\d+) | (\d+) bags, each with (\d+) /, (total, a, b) => total + a * b],
  [/ has twice as many /, (total) => total * 2],
  [/ has three times as many /, (total) => total * 3],
  [/ has four times as many /, (total) => total * 4],
  [/ gives half of the /, (total) => total / 2],
  [/ evenly into (\d+) piles, keeps one pile /, (total, a) => total / a],
];

/** The number that a story comes to. @throws {Error} at a sentence that says something else */
export function solveArithmetic(story: string): number {
  const sentences = story.split(/(?<=[.?]) /).filter((sentence) => !sentence.endsWith("?"));
  return sentences.reduce((total, sentence) => {
    for (const [pattern, step] of RULES) {
      const match = pattern.exec(sentence);
      if (!match) continue;
      const [a = 0, b = 0] = match
        .slice(1)
        .filter((group) => group !== undefined)
        .map(Number);
      return step(total, a, b);
    }
    throw new Error(`Nothing is known of: ${sentence}`);
  }, 0);
}

/** Every answer that some arrangement allows; one, if the puzzle is sound. */
export function solveLogic(text: string): string[] {
  return text.includes("always lies") ? liarsOf(text) : placesOf(text);
}

const ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth"];

function placesOf(text: string): string[] {
  const [, list, rest] = /^(.*?) stand in a row\. (.*)$/s.exec(text)!;
  const people = list!.split(/, | and /);
  const sentences = rest!.split(/(?<=[.?]) /);
  const asked = ORDINALS.indexOf(/^Who is (\w+) from the left\?$/.exec(sentences.at(-1)!)![1]!);
  const answers = orders(people)
    .filter((row) => sentences.slice(0, -1).every((sentence) => isTrueOfRow(sentence, row)))
    .map((row) => row[asked]!);
  return [...new Set(answers)];
}

function isTrueOfRow(sentence: string, row: readonly string[]): boolean {
  const at = (name: string | undefined): number => row.indexOf(name!);
  let match = /^(\w+) is not (\w+) from the left\.$/.exec(sentence);
  if (match) return at(match[1]) !== ORDINALS.indexOf(match[2]!);
  match = /^(\w+) is somewhere to the left of (\w+)\.$/.exec(sentence);
  if (match) return at(match[1]) < at(match[2]);
  match = /^(\w+) is directly to the right of (\w+)\.$/.exec(sentence);
  if (match) return at(match[1]) - at(match[2]) === 1;
  match = /^Exactly one person is between (\w+) and (\w+)\.$/.exec(sentence);
  if (match) return Math.abs(at(match[1]) - at(match[2])) === 2;
  throw new Error(`Nothing is known of: ${sentence}`);
}

function liarsOf(text: string): string[] {
  const people = /^Exactly one of (.*?) always lies;/.exec(text)![1]!.split(/, | and /);
  const said = [...text.matchAll(/(\w+) says: "([^"]*)"/g)];
  return people.filter((liar) =>
    said.every(([, speaker, statement]) => isTrueOfLiar(statement!, liar) === (speaker !== liar)),
  );
}

function isTrueOfLiar(statement: string, liar: string): boolean {
  let match = /^(\w+) tells the truth\.$/.exec(statement);
  if (match) return match[1] !== liar;
  match = /^(\w+) lies\.$/.exec(statement);
  if (match) return match[1] === liar;
  match = /^Either (\w+) or (\w+) lies\.$/.exec(statement);
  if (match) return match[1] === liar || match[2] === liar;
  throw new Error(`Nothing is known of: ${statement}`);
}

function orders(items: readonly string[]): string[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item) => orders(items.filter((other) => other !== item)).map((rest) => [item, ...rest]));
}
