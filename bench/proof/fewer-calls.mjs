// How many calls of a model does a fit save by stopping when it is clear? The search of `pare fit` on recorded scores of 3 000
// real cases, and on simulated ones of a harder task, against evaluating every candidate on every case: is the winner the same, and
// at what share of the calls?
//
//   npm run build && node bench/proof/fewer-calls.mjs
import { readFileSync } from "node:fs";

import { Contention } from "../../dist/evaluate/contention.js";
import { runPairedTrial } from "../../dist/evaluate/paired-trial.js";
import { search } from "../../dist/fit/search.js";
import { mapParts, splitCases } from "../../dist/fit/split.js";
import { ALPHA, qualitiesOf } from "../../dist/fit/statistic.js";
import { Random } from "../../dist/support/random.js";

const SEEDS = 20;
const homeCommands = recordedTask("home-commands-scores.json");
const banking77 = recordedTask("banking77-scores.json");

console.log("| task | bar | winner of all calls | same winner | calls, median | most | order |");
console.log("| --- | --- | --- | --- | --- | --- | --- |");
for (const [task, keep] of [
  [homeCommands, 0.95],
  [homeCommands, 0.97],
  [banking77, 0.92],
  [banking77, 0.95],
  [banking77, 0.97],
  [simulatedTask(), 0.95],
  [simulatedTask(), 0.9],
]) {
  for (const isAdaptive of [false, true]) await compare(task, keep, isAdaptive);
}

async function compare({ name, cases, candidates }, keep, isAdaptive) {
  const full = fullWinner(cases, candidates, keep);
  const runs = [];
  for (let seed = 1; seed <= SEEDS; seed++) runs.push(await fitOnce(cases, candidates, keep, seed, isAdaptive));
  const same = runs.filter(({ winner }) => winner === full).length;
  const most = cases.length * (candidates.length + 1);
  const shares = runs.map(({ calls }) => calls / most).sort((a, b) => a - b);
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  console.log(
    `| ${name} | ${percent(keep)} | ${full} | ${same} of ${SEEDS} | ${percent(shares[SEEDS / 2])} | ${percent(shares.at(-1))} | ${isAdaptive ? "adaptive" : "even"} |`,
  );
}

/** The smallest that keeps enough of all cases. */
function fullWinner(cases, candidates, keep) {
  const total = (which) => cases.reduce((sum, one) => sum + one.scores[which], 0);
  const baseline = total(candidates.length);
  return candidates.find((_, which) => total(which) / baseline >= keep)?.name ?? "original";
}

/** The search of `pare fit` with scores at hand; counts every answer of a model that it asks for. */
async function fitOnce(cases, candidates, keep, seed, isAdaptive) {
  const parts = splitCases(cases, ({ id }) => `case ${id}`, seed);
  const contention = new Contention();
  const answered = new Set();
  let calls = 0;
  const planned = candidates.map(({ name, sizeBytes }, which) => ({
    id: name,
    name,
    which,
    sizeBytes,
    predictedLoss: -sizeBytes,
    blockBits: which,
    isBaseline: false,
  }));
  const original = {
    id: "original",
    name: "original",
    sizeBytes: Infinity,
    predictedLoss: -Infinity,
    isBaseline: true,
  };
  const measurements = {
    screen: async ({ which }) => ({ mean: 1 / (which + 2), standardError: 0, tokens: 1 }), // quality rises with size
    measure: async ({ which, name }, part) => {
      const { sequence, draws } = await runPairedTrial(
        {
          cases: parts[part],
          keep,
          size: parts[part].length,
          alpha: ALPHA,
          drawsMax: parts[part].length,
          contention: isAdaptive ? contention : unlearned(),
          random: new Random(seed).fork(`draws ${part} ${name}`),
        },
        async (batch) => {
          for (const { id } of batch) calls += answered.has(id) ? 1 : 2;
          for (const { id } of batch) answered.add(id);
          return batch.map(({ scores }) => ({ baseline: scores[candidates.length], candidate: scores[which] }));
        },
      );
      const drawn = draws.map(({ id }) => cases[id]);
      contention.learn(drawn, draws);
      return qualitiesOf(sequence, part, untagged(parts[part]), draws).quality;
    },
  };
  const plan = { screens: 24, selections: 8, confirmations: 2, ...mapParts(parts, (part) => part.length) };
  const cost = ({ sizeBytes }) => sizeBytes;
  const { winner } = await search({ candidates: [...planned, original], cost, keep, plan }, measurements);
  return { winner: winner?.name, calls };
}

/** An order that learns nothing stays even. */
function unlearned() {
  const contention = new Contention();
  contention.with = unlearned;
  contention.rateOf = () => 0.5;
  contention.knows = () => false;
  return contention;
}

/** The largest file is the original. */
function recordedTask(file) {
  const recorded = JSON.parse(readFileSync(new URL(file, import.meta.url), "utf8"));
  const bySize = recorded.models.toSorted((a, b) => a.sizeBytes - b.sizeBytes);
  const tagsOf = recorded.cases.split(" ");
  const cases = Array.from(bySize[0].scores, (_, index) => ({
    id: index,
    tags: Array.from(tagsOf[index] ?? "", (tag) => recorded.tags[Number.parseInt(tag, 36)]),
    scores: bySize.map(({ scores }) => Number(scores[index])),
  }));
  return { name: `${recorded.name}, recorded`, cases, candidates: bySize.slice(0, -1) };
}

/**
 * A classification of 77 classes that the original gets right in 75 %. Smaller candidates lose more; what they lose lies mostly in a
 * fifth of the classes, and each loses most of what the next larger one has lost.
 */
function simulatedTask() {
  const random = new Random(77);
  const kept = [0.7, 0.86, 0.93, 0.985, 1];
  const candidates = kept.map((share, which) => ({ name: `candidate ${which + 1}`, sizeBytes: 100 + which, share }));
  const cases = Array.from({ length: 3000 }, (_, id) => {
    const label = random.integer(77);
    const isHard = label < 15;
    const baseline = random.next() < (isHard ? 0.55 : 0.8) ? 1 : 0;
    const [luck, fortune] = [random.next(), random.next()];
    const scores = candidates.map(({ share }) => {
      const won = (0.04 * (1 - share) + 0.01) * (isHard ? 3 : 1);
      const lost = ((1 - share) * 0.85 + 0.01) * (isHard ? 2.6 : 0.7);
      if (baseline === 1) return luck * 0.8 + random.next() * 0.2 < lost ? 0 : 1;
      return fortune < won ? 1 : 0;
    });
    return { id, tags: [`class-${label}`], scores: [...scores, baseline] };
  });
  return { name: "77 classes, simulated", cases, candidates };
}

/** Slices are no question here, and take longer than all the rest. */
function untagged(cases) {
  return cases.map(({ id }) => ({ id, tags: [] }));
}
