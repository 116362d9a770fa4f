// Questions about a text on two invented places, of which a third asks what the text does not say. Nothing can be known beforehand, and the
// other place has an answer of the same kind: who mixes them up, or guesses, is wrong.
import type { Random } from "../../support/random.js";
import { type Draft, type Suite, between, pick, pickSome, wordsOf } from "./suite.js";
import { CITIES, PEOPLE, SURNAMES } from "./words.js";

const ABSENT = "not in the text";
const KINDS = [
  "museum",
  "library",
  "bakery",
  "theater",
  "harbor office",
  "observatory",
  "tea house",
  "cinema",
] as const;
const NAMES = [
  "Alder",
  "Beacon",
  "Cobalt",
  "Dovetail",
  "Ember",
  "Fernwood",
  "Gable",
  "Hollow",
  "Ironbridge",
  "Juniper",
  "Lantern",
  "Meridian",
] as const;

/** Something that can be said of a place, and asked. */
interface Fact {
  say(place: string, value: string): string;
  ask(place: string): string;
  draw(random: Random): string;
}

const FACTS: Record<string, Fact> = {
  founder: {
    say: (place, value) => `${place} was founded by ${value}.`,
    ask: (place) => `Who founded ${place}?`,
    draw: (random) => `${pick(random, PEOPLE)} ${pick(random, SURNAMES)}`,
  },
  year: {
    say: (place, value) => `In ${value}, ${place} opened its doors.`,
    ask: (place) => `In which year did ${place} open?`,
    draw: (random) => String(between(random, 1840, 1999)),
  },
  city: {
    say: (place, value) => `${place} stands in ${value}.`,
    ask: (place) => `In which city is ${place}?`,
    draw: (random) => pick(random, CITIES),
  },
  visitors: {
    say: (place, value) => `About ${value} visitors come to ${place} each month.`,
    ask: (place) => `About how many visitors does ${place} have each month?`,
    draw: (random) => String(10 * between(random, 21, 99) + 2000 * between(random, 1, 4)),
  },
  roof: {
    say: (place, value) => `The roof of ${place} is covered with ${value}.`,
    ask: (place) => `What is the roof of ${place} covered with?`,
    draw: (random) => pick(random, ["slate", "copper", "straw", "red tiles", "glass", "zinc", "moss"]),
  },
  closed: {
    say: (place, value) => `${place} is closed on ${value}.`,
    ask: (place) => `On which day is ${place} closed?`,
    draw: (random) => pick(random, ["Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Sundays"]),
  },
  architect: {
    say: (place, value) => `The architect of ${place} was ${value}.`,
    ask: (place) => `Who was the architect of ${place}?`,
    draw: (random) => `${pick(random, PEOPLE)} ${pick(random, SURNAMES)}`,
  },
};

export const grounded: Suite = {
  name: "grounded",
  summary: `questions about a text on two invented places; a third can't be answered, and "${ABSENT}" is right`,
  casesDefault: 240,
  draw(random, index): Draft {
    const [one, two] = pickSome(random, NAMES, 2).map((name) => `the ${name} ${pick(random, KINDS)}`) as [
      string,
      string,
    ];
    const facts = pickSome(random, Object.keys(FACTS), 5);
    const asked = facts[0]!;
    const isAbsent = index % 3 === 2;
    const [right, other] = distinct(random, FACTS[asked]!);
    const values: string[] = [];
    const sentences = facts.flatMap((name) => {
      const [a, b] = name === asked ? [right, other] : distinct(random, FACTS[name]!);
      values.push(a, b);
      const ofOne = name === asked && isAbsent ? [] : [FACTS[name]!.say(one, a)];
      return [...ofOne, FACTS[name]!.say(two, b)];
    });
    const text = `${random.shuffled(sentences).map(capitalized).join(" ")}\n\nQuestion: ${FACTS[asked]!.ask(one)}`;
    return {
      instructions: [
        `Answer the question from the text alone, in a few words. If the text does not say it, answer "${ABSENT}".`,
        `Use only the text below to answer, as briefly as you can. Reply "${ABSENT}" if the answer cannot be found there.`,
        `Read the text, then answer the question at its end with a word or two, or with "${ABSENT}" where it gives no answer.`,
      ],
      text,
      fields: {
        scorer: "contains",
        ignoreCase: true,
        expect: isAbsent ? ABSENT : right,
        without: isAbsent ? [other] : [ABSENT, other],
        maxTokens: 40,
      },
      tags: [isAbsent ? "not-in-the-text" : "in-the-text", `about-${asked}`],
      fixed: wordsOf([one, two, ...values].join(" ")),
    };
  },
};

/** Two values of which neither is part of the other. */
function distinct(random: Random, fact: Fact): [string, string] {
  for (;;) {
    const [a, b] = [fact.draw(random), fact.draw(random)];
    if (!a.includes(b) && !b.includes(a)) return [a, b];
  }
}

function capitalized(sentence: string): string {
  return sentence[0]!.toUpperCase() + sentence.slice(1);
}
