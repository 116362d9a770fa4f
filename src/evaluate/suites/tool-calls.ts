// Requests that one of four tools can carry out, or none. Right is a call with exactly the arguments that were said.
import type { Random } from "../../support/random.js";
import { type Draft, type Suite, between, pick, pickSome, wordsOf } from "./suite.js";
import { CITIES, PEOPLE, THINGS } from "./words.js";

const TOOLS_OFFERED = 4;
const CURRENCIES = ["EUR", "USD", "GBP", "JPY", "CHF", "SEK"] as const;

interface Tool {
  name: string;
  purpose: string;
  parameters: Record<string, "string" | "integer">;
  draw(random: Random): { request: string; given: Record<string, string | number> };
}

const TOOLS: readonly Tool[] = [
  {
    name: "set_timer",
    purpose: "starts a timer",
    parameters: { minutes: "integer" },
    draw(random) {
      const minutes = between(random, 2, 90);
      const request = pick(random, [
        `Set a timer for ${minutes} minutes.`,
        `Wake me up in ${minutes} minutes, please.`,
      ]);
      return { request, given: { minutes } };
    },
  },
  {
    name: "get_weather",
    purpose: "tells the weather in a city",
    parameters: { city: "string", day: "string" },
    draw(random) {
      const [city, day] = [pick(random, CITIES), pick(random, ["today", "tomorrow"])];
      const request = pick(random, [
        `What will the weather be like in ${city} ${day}?`,
        `Is it going to rain ${day} in ${city}?`,
      ]);
      return { request, given: { city, day } };
    },
  },
  {
    name: "send_message",
    purpose: "sends a text message to a contact",
    parameters: { to: "string", text: "string" },
    draw(random) {
      const to = pick(random, PEOPLE);
      const text = pick(random, [
        "I am on my way",
        "The meeting is over",
        "Call me back",
        "Dinner is ready",
        "I found the keys",
      ]);
      const request = pick(random, [`Send "${text}" to ${to}.`, `Write ${to} a message that says "${text}".`]);
      return { request, given: { to, text } };
    },
  },
  {
    name: "convert_currency",
    purpose: "converts an amount of money; currencies are codes such as EUR",
    parameters: { amount: "integer", from: "string", to: "string" },
    draw(random) {
      const [from, to] = pickSome(random, CURRENCIES, 2) as [string, string];
      const amount = between(random, 5, 900);
      const request = pick(random, [`How much is ${amount} ${from} in ${to}?`, `Convert ${amount} ${from} to ${to}.`]);
      return { request, given: { amount, from, to } };
    },
  },
  {
    name: "book_table",
    purpose: "reserves a table at a restaurant; time is HH:MM",
    parameters: { restaurant: "string", people: "integer", time: "string" },
    draw(random) {
      const restaurant = pick(random, ["Saffron", "Blue Door", "Osteria Lucca", "The Copper Pot", "Nori"]);
      const [people, time] = [
        between(random, 2, 9),
        `${between(random, 17, 21)}:${pick(random, ["00", "15", "30", "45"])}`,
      ];
      const request = pick(random, [
        `Book a table for ${people} at ${restaurant} at ${time}.`,
        `We are ${people} people and would like to eat at ${restaurant} at ${time}. Reserve a table.`,
      ]);
      return { request, given: { restaurant, people, time } };
    },
  },
  {
    name: "add_to_list",
    purpose: "adds an item to the shopping list",
    parameters: { item: "string", quantity: "integer" },
    draw(random) {
      const [item, quantity] = [pick(random, THINGS), between(random, 2, 40)];
      const request = pick(random, [
        `Put ${quantity} ${item} on the shopping list.`,
        `Add ${quantity} ${item} to my shopping list.`,
      ]);
      return { request, given: { item, quantity } };
    },
  },
  {
    name: "set_temperature",
    purpose: "sets the heating of a room, in degrees Celsius",
    parameters: { room: "string", degrees: "integer" },
    draw(random) {
      const [room, degrees] = [pick(random, ["kitchen", "bedroom", "office", "bathroom"]), between(random, 16, 25)];
      const request = pick(random, [
        `Heat the ${room} to ${degrees} degrees.`,
        `Make it ${degrees} degrees in the ${room}.`,
      ]);
      return { request, given: { room, degrees } };
    },
  },
];

export const toolCalls: Suite = {
  name: "tool-calls",
  summary: "requests for one of four tools, as JSON with name and arguments; some for none of them",
  casesDefault: 240,
  draw(random, index): Draft {
    const tool = TOOLS[index % TOOLS.length]!;
    const { request, given } = tool.draw(random);
    const isNone = random.integer(5) === 0;
    const others = pickSome(
      random,
      TOOLS.filter((one) => one !== tool),
      isNone ? TOOLS_OFFERED : TOOLS_OFFERED - 1,
    );
    const offered = random.shuffled(isNone ? others : [tool, ...others]);
    return {
      instructions: [
        'Carry out the request with one of the tools. Answer with JSON alone: {"name": "TOOL", "arguments": {...}}. If no tool fits, the name is "none" and the arguments are {}.',
        'Choose the tool for the request and reply with nothing but {"name": "TOOL", "arguments": {...}} as JSON. Use the name "none" with arguments {} when none of the tools can do it.',
        'Which tool call does the request need? Write only the JSON {"name": "TOOL", "arguments": {...}}, or {"name": "none", "arguments": {}} if there is no such tool.',
      ],
      options: { title: "Tools", items: offered.map(signature) },
      text: `Request: ${request}`,
      fields: {
        scorer: "json",
        schema: SCHEMA,
        expect: isNone ? { name: "none", arguments: {} } : { name: tool.name, arguments: given },
        maxTokens: 120,
      },
      tags: isNone ? ["no-tool"] : [`tool-${tool.name}`],
      fixed: wordsOf(Object.values(given).join(" ")),
    };
  },
};

/** One schema for all cases: which tools there are is for the model to read. */
const SCHEMA = {
  type: "object",
  properties: { name: { type: "string" }, arguments: { type: "object" } },
  required: ["name", "arguments"],
  additionalProperties: false,
} as const;

function signature({ name, purpose, parameters }: Tool): string {
  const list = Object.entries(parameters).map(([key, type]) => `${key}: ${type}`);
  return `${name}(${list.join(", ")}): ${purpose}`;
}
