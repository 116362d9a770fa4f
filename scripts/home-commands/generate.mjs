// Writes the data of the home-commands model: spoken-style smart-home commands, each with its answer in JSON.
//
//   node scripts/home-commands/generate.mjs                 # all three sets
//   node scripts/home-commands/generate.mjs 3000 FILE       # only so many held-out cases, to FILE
//
// Three sets come out: text to train on (out/home-commands/train.jsonl), 1200 held-out cases
// (models/home-commands.task.jsonl) and calibration text (models/home-commands-calibration.txt). No two of them share a
// command: commands that differ only in case, punctuation, articles or courtesy count as the same. Everything is drawn
// from the grammar in this folder with fixed seeds, so the same files come out every time.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Random } from "./random.mjs";
import { difference, degrees, minutes, percent, time, words } from "./spoken.mjs";
import { closings, intents, joints, openings } from "./templates.mjs";
import { colors, countable, days, doors, errands, music, rooms, uncountable } from "./vocabulary.mjs";

const trainingCount = 240_000;
const calibrationBytes = 80_000;
// Half of the cases resemble the training text; the other half tests what was never seen.
const heldOutCounts = { familiar: 200, "new-wording": 100, "new-combination": 100 };
// Drawn after the training text, so that it stays as it was: a bar of 99 % takes a thousand cases to be sure of.
const heldOutMore = { familiar: 400, "new-wording": 200, "new-combination": 200 };
const requests = {
  familiar: { wording: "familiar", reserved: false },
  "new-wording": { wording: "unseen", reserved: false },
  "new-combination": { wording: "familiar", reserved: true },
};

const compoundShare = 0.12; // two commands in one sentence
const scheduledShare = 0.2; // of the commands that can be put off until a time of day
const courtesyShare = 0.35;
const writtenShare = 0.25; // with a capital letter at the start
const typoShare = 0.08;
const reservedOneIn = 10; // combinations of slot values kept out of the training text

const answerOrder = [
  "intent",
  "room",
  "door",
  "color",
  "query",
  "item",
  "count",
  "text",
  "value",
  "minutes",
  "time",
  "day",
];

function main([count, file]) {
  const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
  const seen = new Set();
  const heldOut = drawHeldOut(new Random(1), seen, heldOutCounts);
  const calibration = drawCalibration(new Random(2), seen);
  const training = drawUnseen(new Random(3), seen, trainingCount, () => requests.familiar);
  const more = drawHeldOut(new Random(5), seen, count ? moreFor(Number(count)) : heldOutMore);
  const cases = asCases(new Random(4), [...heldOut, ...more], training, seen);

  if (file) return writeFileSync(file, lines(cases));

  const work = join(root, "out", "home-commands");
  mkdirSync(work, { recursive: true });
  writeFileSync(join(work, "train.jsonl"), lines(training.map(({ command, answer }) => ({ command, answer }))));
  writeFileSync(join(root, "models", "home-commands.task.jsonl"), lines(cases));
  writeFileSync(join(root, "models", "home-commands-calibration.txt"), calibration);
  console.log(`${training.length} to train on, ${cases.length} held out, ${calibration.length} bytes to calibrate`);
}

/** Half of all familiar, as with the counts above. */
function moreFor(count) {
  const quarter = (count - 400) / 4;
  return { familiar: 2 * quarter, "new-wording": quarter, "new-combination": quarter };
}

/** The held-out examples, their kinds mixed. */
function drawHeldOut(random, seen, counts) {
  const kinds = random.shuffle(Object.entries(counts).flatMap(([kind, count]) => Array(count).fill(kind)));
  const examples = drawUnseen(random, seen, kinds.length, (index) => requests[kinds[index]]);
  return examples.map((example, index) => ({ kind: kinds[index], example }));
}

/** The held-out cases, in the form that a task file has; none repeats a command of `training` but for its spaces. */
function asCases(random, heldOut, training, seen) {
  const trained = new Set(training.map(({ command }) => squeezed(command)));
  return heldOut.map(({ kind, example }, index) => {
    let fresh = example;
    while (trained.has(squeezed(fresh.command))) fresh = drawUnseen(random, seen, 1, () => requests[kind])[0];
    return {
      id: `home-${String(index + 1).padStart(3, "0")}`,
      messages: [{ role: "user", content: fresh.command }],
      expect: fresh.answer,
      scorer: "exact",
      tags: [fresh.group, kind],
    };
  });
}

/** Conversations of one turn, with the special tokens written out as the chat template writes them. */
function drawCalibration(random, seen) {
  let text = "";
  while (text.length < calibrationBytes) {
    const [{ command, answer }] = drawUnseen(random, seen, 1, () => requests.familiar);
    text += `<|user|>\n${command}<|end|>\n<|assistant|>\n${answer}<|end|>\n`;
  }
  return text;
}

/** Draws examples until `count` of them are new; `seen` then holds these too. */
function drawUnseen(random, seen, count, request) {
  const examples = [];
  while (examples.length < count) {
    const wanted = request(examples.length);
    const example = drawExample(random, wanted);
    const key = normalized(example.command);
    if (seen.has(key) || example.reserved !== wanted.reserved) continue;
    seen.add(key);
    examples.push(example);
  }
  return examples;
}

function drawExample(random, { wording }) {
  const compound = random.chance(compoundShare);
  const parts = compound ? drawTwo(random, wording) : [drawPart(random, wording, intents, scheduledShare)];
  const pieces = compound ? [...parts[0].pieces, { text: random.pick(joints) }, ...parts[1].pieces] : parts[0].pieces;
  const answers = parts.map(({ answer }) => JSON.stringify(answer));
  return {
    command: dress(random, pieces),
    answer: compound ? `[${answers.join(",")}]` : answers[0],
    group: compound ? "compound" : parts[0].answer.intent.split(".")[0],
    reserved: parts.some(({ answer }) => isReserved(answer)),
  };
}

/** Two commands of different intents; free text is left out, where "and" could belong to the text. */
function drawTwo(random, wording) {
  const closed = intents.filter(({ intent }) => !["list.add", "reminder.set"].includes(intent));
  const first = drawPart(random, wording, closed, 0);
  const others = closed.filter(({ intent }) => intent !== first.answer.intent);
  return [first, drawPart(random, wording, others, 0)];
}

function drawPart(random, wording, choices, share) {
  const intent = random.weighted(choices);
  const values = { intent: intent.intent };
  const pieces = fillIn(random, choose(random, random.pick(intent[wording])), values);
  if (intent.schedulable && random.chance(share)) {
    const { said, value } = time(random);
    values.time = value;
    if (random.chance(0.7)) pieces.push({ text: ` at ${said}` });
    else pieces.unshift({ text: `at ${said}${random.pick([" ", ", "])}` });
  }
  const answer = Object.fromEntries(answerOrder.filter((key) => key in values).map((key) => [key, values[key]]));
  return { pieces, answer };
}

/** Decides every (choice|of|words) and [optional part] of a template, innermost first. */
function choose(random, template) {
  let text = template;
  for (let previous = ""; previous !== text;) {
    previous = text;
    text = text.replace(/\(([^()[\]]*)\)|\[([^()[\]]*)\]/, (_, choices, optional) =>
      choices !== undefined || random.chance(0.5) ? random.pick((choices ?? optional).split("|")) : "",
    );
  }
  return text.replace(/ +/g, " ").trim();
}

/** Fills the {slots} of a chosen wording and notes their values; a copied piece is one that the answer repeats. */
function fillIn(random, text, values) {
  return text
    .split(/(\{\w+\})/)
    .filter(Boolean)
    .map((piece) => {
      if (!piece.startsWith("{")) return { text: piece };
      const { said, copied = false, ...found } = slots[piece.slice(1, -1)](random);
      Object.assign(values, found);
      return { text: said, copied };
    });
}

const slots = {
  room: (random) => named(random, rooms, "room"),
  door: (random) => named(random, doors, "door"),
  color: (random) => named(random, colors, "color"),
  percent,
  degrees,
  minutes: (random) => {
    const { said, value } = minutes(random);
    return { said, minutes: value };
  },
  time: (random) => {
    const { said, value } = time(random);
    return { said, time: value };
  },
  up: difference,
  down: (random) => {
    const { said, value } = difference(random);
    return { said, value: -value };
  },
  open: (random) =>
    position(random, [
      ["open", 100],
      ["close", 0],
      ["shut", 0],
    ]),
  upDown: (random) =>
    position(random, [
      ["up", 100],
      ["down", 0],
    ]),
  position: (random) =>
    position(random, [
      ["open", 100],
      ["up", 100],
      ["closed", 0],
      ["shut", 0],
      ["down", 0],
      ["half open", 50],
    ]),
  on: (random) => {
    const day = random.pick(days);
    return { said: day.endsWith("day") && day !== "today" ? `on ${day}` : day, day };
  },
  query: (random) => {
    const genre = random.pick(music.genres);
    const query = random.chance(0.5) ? `${random.pick(music.moods)} ${genre}` : genre;
    return { said: query, query, copied: true };
  },
  items: (random) => (random.chance(0.5) ? thing(random, uncountable) : counted(random)),
  text: (random) => {
    const [verbs, objects] = random.pick(errands);
    const text = `${random.pick(verbs)} ${random.pick(objects)}`;
    return { said: text, text, copied: true };
  },
};

function named(random, list, key) {
  const entry = random.pick(list);
  const [said, value] = typeof entry === "string" ? [entry, entry] : entry;
  return { said, [key]: value };
}

function position(random, pairs) {
  const [said, value] = random.pick(pairs);
  return { said, value };
}

function thing(random, list) {
  const [kinds, things] = random.pick(list);
  const item = random.chance(0.6) ? `${random.pick(kinds)} ${random.pick(things)}` : random.pick(things);
  return { said: item, item, copied: true };
}

function counted(random) {
  const { item } = thing(random, countable);
  if (random.chance(0.4)) return { said: item, item, copied: true };
  const count = random.chance(0.1) ? 12 : random.integer(2, 10);
  const number = count === 12 ? random.pick(["a dozen", "12", "twelve"]) : random.pick([String(count), words(count)]);
  return { said: `${number} ${item}`, item, count, copied: true };
}

/** Joins the pieces and adds what surrounds a command in use: courtesy, a capital letter, a full stop, a typing error. */
function dress(random, pieces) {
  const dressed = pieces.map((piece) => ({ ...piece }));
  const wrong = random.pick(dressed);
  if (random.chance(typoShare) && !wrong.copied) wrong.text = withTypo(random, wrong.text);
  let asked = false;
  if (random.chance(courtesyShare)) {
    const atStart = random.chance(0.6);
    const phrase = random.pick(atStart ? openings.filter((opening) => fits(opening, pieces[0].text)) : closings);
    asked = /you\b/.test(phrase) && !phrase.startsWith("thank");
    if (atStart) dressed.unshift({ text: phrase + random.pick(asked ? [" "] : [" ", ", "]) });
    else dressed.push({ text: random.pick([" ", ", "]) + phrase });
  }
  const written = random.chance(writtenShare);
  if (written && !dressed[0].copied) dressed[0].text = dressed[0].text[0].toUpperCase() + dressed[0].text.slice(1);
  let text = dressed.map((piece) => piece.text).join("");
  if (written) text = text.replace(/\bi\b/g, "I");
  const mark = asked ? "?" : random.pick([".", ".", "!"]);
  return random.chance(written ? 0.6 : 0.15) ? text + mark : text;
}

/** A question such as "could you" only fits before a verb. */
function fits(opening, start) {
  const imperative =
    /^(turn|switch|put|light|kill|cut|make|dim|set|bring|brighten|change|heat|warm|cool|keep|raise|increase|lower|reduce|open|close|shut|pull|roll|lock|unlock|secure|bolt|take|play|start|stream|let|stop|end|wake|get|count|tell|ring|time|add|write|note|remind|give)\b/;
  return !opening.includes("you") || imperative.test(start);
}

/** One typing error in one word of at least four letters: two letters swapped, one left out or one doubled. */
function withTypo(random, text) {
  const found = [...text.matchAll(/[a-z]{4,}/g)];
  if (found.length === 0) return text;
  const { 0: word, index } = random.pick(found);
  const at = random.integer(1, word.length - 2);
  const wrong = random.pick([
    word.slice(0, at) + word[at + 1] + word[at] + word.slice(at + 2),
    word.slice(0, at) + word.slice(at + 1),
    word.slice(0, at) + word[at] + word.slice(at),
  ]);
  return text.slice(0, index) + wrong + text.slice(index + word.length);
}

/** Whether this combination of slot values, with or without its time of day, is kept out of the training text. */
function isReserved(answer) {
  const { time: _, ...timeless } = answer;
  return [answer, timeless].some(
    (values) => Object.keys(values).length > 2 && hash(JSON.stringify(values)) % reservedOneIn === 0,
  );
}

function normalized(command) {
  const courtesy = [...openings, ...closings].sort((a, b) => b.length - a.length).join("|");
  return command
    .toLowerCase()
    .replace(/[^a-z0-9:%.' ]|[.]$/g, "")
    .replace(new RegExp(`\\b(${courtesy}|the|a|an|some)\\b`, "g"), "")
    .replace(/\s+/g, " ")
    .trim();
}

/** A command without its spaces as well, so that "7 am" is "7am". */
function squeezed(command) {
  return command.toLowerCase().replace(/[^a-z0-9:%.]|[.]$/g, "");
}

/** FNV-1a over the UTF-16 units of a text. */
function hash(text) {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return value ^ (value >>> 15);
}

function lines(values) {
  return values.map((value) => `${JSON.stringify(value)}\n`).join("");
}

main(process.argv.slice(2));
