// Mails as the model reads them, to out/spam-filter/: to train on, to validate on, to be tested on.
//
//   node examples/spam-filter/prepare.mjs
import { readFileSync, writeFileSync } from "node:fs";

import { BytePairEncoder, openModel } from "pare";

import { mailText } from "./read-mail.mjs";

const WORK = "out/spam-filter";

/** What the model reads of a mail: with label and control tokens it fits a sequence of 96. */
const READ_TOKENS = 91;

/** Of the training mails, which calibrate a quantization where the task is not to be used. */
const CALIBRATION_EVERY = 20;

/** A shorter rest of a mail is no example of its own. */
const REST_CHARACTERS_MIN = 200;

/** So that the longest mails don't make up most of what is learned. */
const LATER_VIEWS_MAX = 7;

const vocabulary = await openModel(`${WORK}/vocabulary.gguf`);
const encoder = BytePairEncoder.fromMetadata(vocabulary.metadata);
await vocabulary.close();

const mails = readFileSync(`${WORK}/mails.jsonl`, "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line));
const of = (part) => mails.filter((mail) => mail.part === part);
write(
  "texts.jsonl",
  of("train").map((mail) => ({ text: mailText(mail) })),
);
write("train.jsonl", [...of("train").map(conversation), ...of("train").flatMap((mail) => laterViews(mail))]);
write("validation.jsonl", of("validation").map(conversation));
write("validation.task.jsonl", of("validation").map(taskCase));
write("test.task.jsonl", of("test").map(taskCase));
writeFileSync(`${WORK}/calibration.txt`, oneIn(CALIBRATION_EVERY, of("train")).map(asSeen).join(""));
for (const part of ["train", "validation", "test"]) {
  const spam = of(part).filter(({ label }) => label === "spam").length;
  console.log(`${part}: ${of(part).length} mails, ${spam} of them spam`);
}

function write(name, rows) {
  writeFileSync(`${WORK}/${name}`, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}

function oneIn(every, items) {
  return items.filter((_, i) => i % every === 0);
}

/** The beginning of a mail; a character is not cut in two. */
function beginning(mail) {
  const text = mailText(mail);
  const tokens = encoder.encode(text);
  return tokens.length <= READ_TOKENS ? text : encoder.decode(tokens.slice(0, READ_TOKENS)).replace(/\uFFFD+$/, "");
}

function conversation(mail) {
  return {
    messages: [
      { role: "user", content: beginning(mail) },
      { role: "assistant", content: mail.label },
    ],
  };
}

/** What the beginning leaves out says as much of the label: further examples of a long mail, under the same subject. */
function laterViews(mail, viewsLeft = LATER_VIEWS_MAX) {
  const start = beginning(mail).length - mailText({ ...mail, body: "" }).length;
  const rest = { ...mail, body: mail.body.slice(Math.max(0, start)).trim() };
  if (viewsLeft === 0 || rest.body.length < REST_CHARACTERS_MIN) return [];
  return [conversation(rest), ...laterViews(rest, viewsLeft - 1)];
}

/** As chat.jinja writes it. */
function asSeen(mail) {
  return `<|mail|>${beginning(mail)}<|label|>${mail.label}<|end|>`;
}

function taskCase(mail) {
  return {
    id: mail.id,
    messages: [{ role: "user", content: beginning(mail) }],
    choices: ["ham", "spam"],
    expect: mail.label,
    tags: [mail.label, mail.format],
  };
}
