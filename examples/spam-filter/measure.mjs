// The table of README.md: models and naive Bayes on the held-out mails, all given the same text.
//
//   node examples/spam-filter/measure.mjs NAME=MODEL.gguf…
import { readFileSync, statSync } from "node:fs";

import { evaluateTask, readTask } from "pare";

import { trainNaiveBayes } from "./naive-bayes.mjs";
import { mailText } from "./read-mail.mjs";

const WORK = "out/spam-filter";
const task = await readTask(`${WORK}/test.task.jsonl`);
const expected = task.cases.map(({ expect }) => expect);

console.log(
  "| | bytes | accuracy | precision | recall | calibration error | Brier score |\n|---|---|---|---|---|---|---|",
);
const answers = new Map();
for (const [name, path] of process.argv.slice(2).map((text) => text.split("="))) {
  const { perCase, calibration } = await evaluateTask({ model: path, task, threads: 1 });
  answers.set(
    name,
    perCase.map(({ answer }) => answer),
  );
  row(name, statSync(path).size, answers.get(name), calibration);
}

const conversations = lines("train.jsonl").map(({ messages: [mail, answer] }) => ({
  text: mail.content,
  label: answer.content,
}));
const sameText = trainNaiveBayes(conversations);
const baseline = task.cases.map(({ messages: [mail] }) => sameText(mail.content));
row("naive Bayes, the same text", undefined, baseline);

const mails = lines("mails.jsonl");
const wholeMail = trainNaiveBayes(
  mails.filter(({ part }) => part === "train").map((mail) => ({ text: mailText(mail), label: mail.label })),
);
const byId = new Map(mails.map((mail) => [mail.id, mail]));
row(
  "naive Bayes, the whole mail",
  undefined,
  task.cases.map(({ id }) => wholeMail(mailText(byId.get(id)))),
);

for (const [name, given] of answers) {
  const won = given.filter((answer, i) => answer === expected[i] && baseline[i] !== expected[i]).length;
  const lost = given.filter((answer, i) => answer !== expected[i] && baseline[i] === expected[i]).length;
  console.log(
    `\n${name} against naive Bayes on the same text: right where it is wrong ${won}, wrong where it is right ${lost}, p ${signTest(won, lost).toPrecision(2)}`,
  );
}

function lines(name) {
  return readFileSync(`${WORK}/${name}`, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function row(name, sizeBytes, given, calibration) {
  const count = (answer, label) => given.filter((value, i) => value === answer && expected[i] === label).length;
  const [hits, alarms, misses] = [count("spam", "spam"), count("spam", "ham"), count("ham", "spam")];
  const right = given.length - alarms - misses;
  const cells = [
    name,
    sizeBytes?.toLocaleString("en-US").replaceAll(",", " ") ?? "",
    shareOf(right, given.length),
    shareOf(hits, hits + alarms),
    shareOf(hits, hits + misses),
    calibration?.expectedCalibrationError.toFixed(4) ?? "",
    calibration?.brierScore.toFixed(4) ?? "",
  ];
  console.log(`| ${cells.join(" | ")} |`);
}

/** A share with Wilson's 95 % interval. */
function shareOf(successes, n) {
  const z = 1.959964;
  const center = (successes + z ** 2 / 2) / (n + z ** 2);
  const half = (z / (n + z ** 2)) * Math.sqrt((successes * (n - successes)) / n + z ** 2 / 4);
  const percent = (share) => (100 * share).toFixed(1);
  return `${percent(successes / n)} % (${percent(center - half)} to ${percent(center + half)})`;
}

/** Two-sided sign test: how likely so uneven a count is among mails on which two filters differ, if both are as good. */
function signTest(won, lost) {
  const n = won + lost;
  let [probability, tail] = [0.5 ** n, 0];
  for (let k = 0; k <= Math.min(won, lost); k++) {
    tail += probability;
    probability *= (n - k) / (k + 1);
  }
  return Math.min(1, 2 * tail);
}
