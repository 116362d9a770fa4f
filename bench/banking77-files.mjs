// Makes training examples and a task of BANKING77 (Casanueva et al., 2020, CC BY 4.0): a customer's question and which of 77 intents
// it has, answered in words.
//
//   node bench/banking77-files.mjs ../shared/data/banking77 FOLDER
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [from, to] = process.argv.slice(2);
if (!from || !to) throw new Error("Name the folder of train.csv and test.csv, and one to write to");

/** Lines of two fields, of which the first may be quoted. */
function readCsv(path) {
  const rows = readFileSync(path, "utf8").matchAll(/^(?:"((?:[^"]|"")*)"|([^",\n]*)),(\w+\??)\r?$/gmu);
  const cases = [...rows].map(([, quoted, plain, intent]) => ({
    text: (quoted?.replaceAll('""', '"') ?? plain).replaceAll(/\s+/g, " ").trim(),
    intent: intent.replaceAll("_", " ").replace("?", "").toLowerCase(),
  }));
  return cases.filter(({ intent }) => intent !== "category");
}

const promptOf = ({ text }) => `${text}\nIntent:`;
const lines = (list) => list.map((one) => `${JSON.stringify(one)}\n`).join("");
const train = readCsv(join(from, "train.csv")).map((one) => ({
  prompt: promptOf(one),
  completion: ` ${one.intent}\n`,
}));
const test = readCsv(join(from, "test.csv")).map((one, id) => ({
  id,
  prompt: promptOf(one),
  expect: one.intent,
  scorer: "exact",
  maxTokens: 24,
  stop: ["\n"],
}));
writeFileSync(join(to, "train.jsonl"), lines(train));
writeFileSync(join(to, "test.jsonl"), lines(test));
console.log(
  `${train.length} examples, ${test.length} cases, ${new Set(test.map(({ expect }) => expect)).size} intents`,
);
