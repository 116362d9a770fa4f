// Text that a teacher writes and reads: both ways it thinks the same of it, and nothing of what it thinks gets lost.
import { afterAll, beforeAll, expect, test } from "vitest";

import { temporaryFolder } from "../../../test/command.js";
import { writeSyntheticModel } from "../../../test/synthetic-model.js";
import type { Sequence } from "../../graph/token-batch.js";
import { loadEngine } from "../../native/engine.js";
import { LlamaModel } from "../../native/llama-model.js";
import { emptyOpinions, keepLikeliest } from "./form-opinions.js";
import { scoreText } from "./score-text.js";
import type { Opinions } from "./taught-text.js";
import { type WriteOptions, writeText } from "./write-text.js";

const folder = temporaryFolder();
const path = folder.path("model.gguf");
beforeAll(() => writeSyntheticModel(path, { width: 32, feedForward: 48, vocabulary: 420, kvHeads: 2 }));
afterAll(() => folder[Symbol.dispose]());

interface Taught {
  sequence: Sequence;
  opinions: Opinions;
}

const OPTIONS: WriteOptions = {
  length: 24,
  first: 0,
  count: 5,
  temperature: 1,
  seed: 7,
  threads: 1,
  opinions: { top: 8, temperature: 1 },
};

async function written(options: WriteOptions): Promise<Taught[]> {
  using model = LlamaModel.load(loadEngine(), path);
  const taught: Taught[] = [];
  await writeText(model, options, async (sequence, opinions) => void taught.push({ sequence, opinions }));
  return taught;
}

test("scoreText() thinks of a text what the model thought as it wrote it", async () => {
  const wrote = await written(OPTIONS);
  using model = LlamaModel.load(loadEngine(), path);
  const read: Taught[] = [];
  await scoreText(
    model,
    wrote.map(({ sequence }) => sequence),
    { length: 24, top: 8, temperature: 1, threads: 1 },
    async (sequence, opinions) => void read.push({ sequence, opinions }),
  );
  expect(read).toHaveLength(5);
  read.forEach(({ opinions }, i) => {
    const other = wrote[i]!.opinions;
    opinions.nats.forEach((nats, place) => expect(Math.abs(nats - other.nats[place]!)).toBeLessThan(2e-3));
    opinions.rests.forEach((rest, place) => expect(Math.abs(rest - other.rests[place]!)).toBeLessThan(2e-3));
  });
});

test("writeText() ends documents, begins others in the same sequence, and learns nothing of prompts", async () => {
  const prompts = [
    [1, 300, 301],
    [1, 302],
  ];
  const wrote = await written({ ...OPTIONS, prompts, length: 200, count: 3 });
  expect(wrote.some(({ sequence }) => sequence.documents.at(-1)! > 0)).toBe(true);
  for (const { sequence } of wrote) {
    const { tokens, documents, targets, weights } = sequence;
    for (let i = 0; i < 200; i++) {
      const isSame = documents[i] === documents[i + 1];
      if (isSame) expect(targets[i]).toBe(tokens[i + 1]);
      if (tokens[i] === 1 && documents[i] !== documents[i - 1]) {
        expect(weights[i]).toBe(0);
        expect([300, 302]).toContain(targets[i]);
      }
    }
  }
});

test("each sequence has random numbers of its own: those asked for later are those of a longer text", async () => {
  const all = await written(OPTIONS);
  const last = await written({ ...OPTIONS, first: 3, count: 2 });
  expect(last.map(({ sequence }) => sequence.tokens)).toEqual(all.slice(3).map(({ sequence }) => sequence.tokens));
});

test("keepLikeliest() keeps the largest in order, with what all others have", () => {
  const probabilities = Float32Array.of(0.05, 0.4, 0.1, 0.2, 0.1, 0.15);
  const opinions = emptyOpinions(2, 3);
  keepLikeliest(probabilities, opinions, 1);
  expect([...opinions.ids]).toEqual([0, 1, 2, 1, 3, 5]);
  expect([...opinions.probabilities.subarray(3)]).toEqual([0.4, 0.2, 0.15].map(Math.fround));
  expect(opinions.rests[0]).toBe(1);
  expect(opinions.rests[1]).toBeCloseTo(0.25, 6);
});
