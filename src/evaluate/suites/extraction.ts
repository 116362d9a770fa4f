// Facts out of short texts as JSON: orders, meetings, adverts. Some facts are not in the text, and then null is right.
import type { Random } from "../../support/random.js";
import { type Draft, type Suite, between, pick, wordsOf } from "./suite.js";
import { CITIES, MONTHS, PEOPLE, SURNAMES, THINGS } from "./words.js";

/** A kind of text: its fields with their JSON Schema and meaning, the facts, and the text that states them. */
interface Kind {
  name: string;
  fields: Record<string, { type: "string" | "integer" | "number"; meaning: string }>;
  draw(random: Random): { facts: Record<string, string | number | null>; text: string };
}

const order: Kind = {
  name: "order",
  fields: {
    customer: { type: "string", meaning: "first name and surname" },
    item: { type: "string", meaning: "what is ordered, one word, as in the text" },
    quantity: { type: "integer", meaning: "number of pieces" },
    city: { type: "string", meaning: "where it is sent to" },
    deadline: { type: "string", meaning: "latest day of arrival, as YYYY-MM-DD" },
  },
  draw(random) {
    const [customer, city, item, quantity] = [
      person(random),
      pick(random, CITIES),
      pick(random, THINGS),
      between(random, 2, 90),
    ];
    const deadline = random.integer(3) === 0 ? null : day(random);
    const when =
      deadline === null ? "There is no hurry." : `They must arrive by ${written(random, deadline)} at the latest.`;
    const text = pick(random, [
      `This is ${customer}. Please send ${quantity} ${item} to our office in ${city}. ${when}`,
      `Dear team, our branch in ${city} needs ${quantity} ${item}. ${when} Kind regards, ${customer}`,
      `${customer} called and ordered ${quantity} ${item}, to be delivered to ${city}. ${when}`,
    ]);
    return { text, facts: { customer, item, quantity, city, deadline: deadline && iso(deadline) } };
  },
};

const meeting: Kind = {
  name: "meeting",
  fields: {
    organizer: { type: "string", meaning: "first name and surname of who invites" },
    date: { type: "string", meaning: "YYYY-MM-DD" },
    start: { type: "string", meaning: "HH:MM, 24 hours" },
    room: { type: "string", meaning: "the room's name without the word room" },
    minutes: { type: "integer", meaning: "how long it takes, in minutes" },
  },
  draw(random) {
    const [organizer, date] = [person(random), day(random)];
    const [hour, minute] = [between(random, 8, 18), pick(random, [0, 15, 30, 45])];
    const room =
      random.integer(3) === 0 ? null : pick(random, ["Maple", "Granite", "Harbor", "Orchid", "Falcon", "Amber"]);
    const minutes = pick(random, [30, 45, 60, 90, 120]);
    const start = `${two(hour)}:${two(minute)}`;
    const clock = random.integer(2) === 0 ? start : `${hour % 12 || 12}:${two(minute)} ${hour < 12 ? "AM" : "PM"}`;
    const place = room === null ? "The room will be announced later." : `We meet in room ${room}.`;
    const long = minutes === 60 ? "one hour" : minutes === 120 ? "two hours" : `${minutes} minutes`;
    const text = pick(random, [
      `${organizer} invites you to the budget review on ${written(random, date)} at ${clock}. ${place} Plan for ${long}.`,
      `Invitation from ${organizer}: project update, ${written(random, date)}, ${clock}, ${long}. ${place}`,
      `The planning session takes ${long} and begins at ${clock} on ${written(random, date)}. ${place} Questions go to the organizer, ${organizer}.`,
    ]);
    return { text, facts: { organizer, date: iso(date), start, room, minutes } };
  },
};

const advert: Kind = {
  name: "advert",
  fields: {
    city: { type: "string", meaning: "where the flat is" },
    rooms: { type: "integer", meaning: "number of rooms" },
    area: { type: "integer", meaning: "square meters" },
    rent: { type: "integer", meaning: "per month in euros" },
    floor: { type: "integer", meaning: "floor, 0 for the ground floor" },
    contact: { type: "string", meaning: "first name and surname" },
  },
  draw(random) {
    const [city, contact] = [pick(random, CITIES), person(random)];
    const [rooms, area, rent] = [between(random, 2, 6), between(random, 38, 140), 10 * between(random, 45, 240)];
    const floor = random.integer(3) === 0 ? null : between(random, 0, 5);
    const ordinal = ["ground", "first", "second", "third", "fourth", "fifth"];
    const where = floor === null ? "" : ` on the ${ordinal[floor]} floor`;
    const text = pick(random, [
      `Bright flat in ${city}${where}: ${rooms} rooms, ${area} square meters, ${rent} euros a month. Call ${contact}.`,
      `For rent${where}, ${city}. ${area} square meters in ${rooms} rooms. Monthly rent: ${rent} euros. Contact: ${contact}.`,
      `${contact} lets a flat with ${rooms} rooms in ${city}${where}. It has ${area} square meters and costs ${rent} euros per month.`,
    ]);
    return { text, facts: { city, rooms, area, rent, floor, contact } };
  },
};

const KINDS = [order, meeting, advert] as const;

export const extraction: Suite = {
  name: "extraction",
  summary: "orders, meetings and adverts as JSON, with null for what is not said; also scored field by field",
  casesDefault: 240,
  draw(random, index): Draft {
    const kind = KINDS[index % KINDS.length]!;
    const { facts, text } = kind.draw(random);
    const names = Object.keys(kind.fields);
    const meanings = names.map((name) => `${name} (${kind.fields[name]!.type}: ${kind.fields[name]!.meaning})`);
    return {
      instructions: [
        "Extract the facts from the text as one JSON object with exactly these keys. Use null for what the text does not say. Answer with the JSON alone.",
        "Read the text and reply with nothing but a JSON object that has these keys; a key whose value is not in the text is null.",
        "Turn the text into JSON. The object must have all of the keys below, with null where the text is silent. Write only the JSON.",
      ],
      options: { title: "Keys", items: meanings },
      text,
      fields: { scorer: "json", schema: schemaOf(kind), expect: facts, maxTokens: 200 },
      tags: [`kind-${kind.name}`, ...(Object.values(facts).includes(null) ? ["with-null"] : [])],
      fixed: wordsOf(text), // every word may be a value
    };
  },
};

function schemaOf({ fields }: Kind): object {
  const properties = Object.entries(fields).map(([name, { type }]) => [name, { type: [type, "null"] }]);
  return {
    type: "object",
    properties: Object.fromEntries(properties) as object,
    required: Object.keys(fields),
    additionalProperties: false,
  };
}

function person(random: Random): string {
  return `${pick(random, PEOPLE)} ${pick(random, SURNAMES)}`;
}

interface Day {
  year: number;
  month: number;
  day: number;
}

/** A day that every month has. */
function day(random: Random): Day {
  return { year: between(random, 2025, 2029), month: between(random, 1, 12), day: between(random, 1, 28) };
}

function written(random: Random, { year, month, day }: Day): string {
  const name = MONTHS[month - 1]!;
  return pick(random, [`${day} ${name} ${year}`, `${name} ${day}, ${year}`, `${year}-${two(month)}-${two(day)}`]);
}

function iso({ year, month, day }: Day): string {
  return `${year}-${two(month)}-${two(day)}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
