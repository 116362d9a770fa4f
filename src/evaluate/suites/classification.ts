// Messages to a shop's customer service, each about one thing, to be sorted into six queues. What a queue is for is part of the
// instruction, and each message is written from the queue, so that no other one would do.
import type { Random } from "../../support/random.js";
import { type Draft, type Suite, between, pick } from "./suite.js";
import { CITIES, PEOPLE } from "./words.js";

const GOODS = [
  "lamp",
  "backpack",
  "kettle",
  "keyboard",
  "jacket",
  "bookshelf",
  "headset",
  "watch",
  "blender",
  "tent",
  "mirror",
  "rug",
] as const;

type Sentence = (of: { goods: string; city: string; order: number; days: number; amount: number }) => string;

/** Queues with what they are for, and messages that belong there and nowhere else. */
const QUEUES: Record<string, { purpose: string; messages: readonly Sentence[] }> = {
  billing: {
    purpose: "charges, invoices and refunds of money that was charged wrongly",
    messages: [
      ({ order, amount }) => `My card was charged ${amount} euros twice for order ${order}.`,
      ({ order }) => `I need an invoice with our company's tax number for order ${order}.`,
      ({ amount }) => `There is a charge of ${amount} euros from you on my bank statement that I can't explain.`,
      ({ order, amount }) =>
        `The total of order ${order} is ${amount} euros too high, the discount code was not counted.`,
    ],
  },
  delivery: {
    purpose: "parcels that are late, lost or on their way",
    messages: [
      ({ order, days }) => `Order ${order} should have arrived ${days} days ago, and there is still no parcel.`,
      ({ goods, city }) => `The tracking page says that my ${goods} has been in ${city} for days. Where is it now?`,
      ({ order, city }) =>
        `Can the parcel of order ${order} be sent to my office in ${city} instead? It is already on its way.`,
      ({ goods }) => `The courier says that the ${goods} was handed over, but nobody here has received a parcel.`,
    ],
  },
  returns: {
    purpose: "goods that the customer wants to send back or exchange",
    messages: [
      ({ goods }) => `The ${goods} is fine, but I don't like the color. How do I send it back?`,
      ({ goods, order }) => `I would like to exchange the ${goods} from order ${order} for a larger one.`,
      ({ goods, days }) =>
        `I bought the ${goods} ${days} days ago and no longer need it. Please send me a return label.`,
      ({ goods }) => `Is it possible to bring the ${goods} back to a store instead of mailing it back?`,
    ],
  },
  account: {
    purpose: "signing in, passwords and personal data",
    messages: [
      () => "I forgot my password, and the reset mail never comes.",
      ({ city }) => `I have moved to ${city}. How do I change the home address in my profile?`,
      () => "Please delete my profile and everything that you have stored about me.",
      ({ days }) => `I have been locked out since I mistyped my password ${days} times.`,
    ],
  },
  repair: {
    purpose: "goods that are broken or do not work",
    messages: [
      ({ goods, days }) => `After ${days} days of use the ${goods} has come apart. Can it be mended under warranty?`,
      ({ goods }) => `A part of my ${goods} has snapped off. Do you have spare parts to fix it?`,
      ({ goods, order }) => `The ${goods} from order ${order} is defective, and I would like to have it fixed.`,
      ({ goods }) => `My ${goods} has a fault that your manual does not explain. Is there a workshop that fixes it?`,
    ],
  },
  stock: {
    purpose: "whether and when something can be bought",
    messages: [
      ({ goods }) => `Will the green ${goods} be available again this year?`,
      ({ goods, city }) => `Does your store in ${city} have the ${goods} on its shelves?`,
      ({ goods, amount }) => `We would like to buy ${amount} pieces of the ${goods}. Do you have that many?`,
      ({ goods }) => `The ${goods} is shown as sold out. When can I buy one?`,
    ],
  },
};

const GREETINGS = ["Hello,", "Hi there,", "Good morning,", "Dear team,", "Hello, this is NAME.", ""] as const;
const ENDINGS = [
  "Thank you!",
  "Best regards, NAME",
  "Thanks in advance, NAME",
  "I hope to hear from you soon.",
  "",
] as const;

export const classification: Suite = {
  name: "classification",
  summary: "messages to a shop, to be sorted into six queues",
  casesDefault: 240,
  draw(random, index): Draft {
    const queues = Object.keys(QUEUES);
    const queue = queues[index % queues.length]!;
    const text = messageOf(random, QUEUES[queue]!.messages);
    const purposes = queues.map((name) => `${name} (${QUEUES[name]!.purpose})`);
    return {
      instructions: [
        "Which queue does this message to our online shop belong to? Answer with the name of the queue alone.",
        "Sort the customer's message into one of the queues. Reply with just the queue's name.",
        "Read the message below and name the one queue that should answer it. Write nothing but that name.",
      ],
      options: { title: "Queues", items: purposes },
      text,
      fields: { scorer: "label", labels: queues, expect: queue, maxTokens: 16 },
      tags: [`queue-${queue}`],
      fixed: [],
    };
  },
};

function messageOf(random: Random, messages: readonly Sentence[]): string {
  const name = pick(random, PEOPLE);
  const sentence = pick(
    random,
    messages,
  )({
    goods: pick(random, GOODS),
    city: pick(random, CITIES),
    order: between(random, 10_000, 99_999),
    days: between(random, 3, 28),
    amount: between(random, 12, 240),
  });
  return [pick(random, GREETINGS), sentence, pick(random, ENDINGS)]
    .filter((part) => part !== "")
    .join("\n")
    .replaceAll("NAME", name);
}
