// Files of what a teacher thought: what goes in comes out, and what is no such file is refused.
import { writeFileSync } from "node:fs";

import { afterAll, expect, test } from "vitest";

import { temporaryFolder } from "../../../test/command.js";
import { Random } from "../../support/random.js";
import { type Opinions, TaughtText, TaughtTextWriter, describeTaught } from "./taught-text.js";

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const LENGTH = 5;
const random = new Random(2);

function opinionsOf(top: number, vocabulary: number): Opinions {
  const ids = Uint32Array.from({ length: LENGTH * top }, (_, i) => (vocabulary - 1 - i) % vocabulary);
  const rests = Float32Array.from({ length: LENGTH }, () => 0.1 * random.next());
  const probabilities = new Float32Array(LENGTH * top);
  for (let place = 0; place < LENGTH; place++) {
    const weights = Array.from({ length: top }, () => Math.exp(-8 * random.next()));
    const sum = weights.reduce((a, b) => a + b, 0);
    weights.forEach((weight, i) => (probabilities[place * top + i] = (weight / sum) * (1 - rests[place]!)));
  }
  return {
    ids,
    probabilities,
    rests,
    nats: Float32Array.from(rests, (rest) => 10 * rest),
    states: Uint16Array.from({ length: LENGTH * 7 }, (_, i) => i),
  };
}

test.each([
  ["16", 300],
  ["32", 70_000],
])("opinions with ids of %s bits come back to 0.03 %, and sum to 1 with their rest", async (_bits, vocabulary) => {
  const path = folder.path(`${vocabulary}.taught`);
  const facts = { identity: "x", length: LENGTH, sequences: 2, top: 3, vocabulary, temperature: 1, width: 7 };
  const sequence = (start: number) => ({
    tokens: Int32Array.from({ length: LENGTH }, (_, i) => start + i),
    documents: Int32Array.of(0, 0, 1, 1, -1),
    targets: Int32Array.from({ length: LENGTH }, (_, i) => start + i + 1),
    weights: Float32Array.of(1, 0, 1, 1, 0),
  });
  const opinions = [opinionsOf(3, vocabulary), opinionsOf(3, vocabulary)];
  await using writer = await TaughtTextWriter.create(path, facts);
  for (const [i, one] of opinions.entries()) await writer.write(sequence(10 * i), one);
  await writer.commit();
  using text = await TaughtText.open(path);
  expect(text.facts).toEqual(facts);
  const [, second] = text.sequences();
  expect(second).toMatchObject({ ...sequence(10), index: 1 });
  const read = text.opinions(1);
  expect(read.ids).toEqual(opinions[1]!.ids);
  expect(read.rests).toEqual(opinions[1]!.rests);
  expect(read.states).toEqual(opinions[1]!.states);
  read.probabilities.forEach((p, i) => expect(Math.abs(p / opinions[1]!.probabilities[i]! - 1)).toBeLessThan(6e-4));
  for (let place = 0; place < LENGTH; place++) {
    const sum = read.probabilities.subarray(place * 3, place * 3 + 3).reduce((a, b) => a + b, read.rests[place]!);
    expect(Math.abs(sum - 1)).toBeLessThan(1e-6);
  }
  const counted = opinions.flatMap(({ rests }) => [rests[0]!, rests[2]!, rests[3]!]);
  const described = await describeTaught(path, "train");
  expect(described).toMatchObject({ sequences: 2, targets: 6 });
  expect(described.restMean).toBeCloseTo(counted.reduce((a, b) => a + b, 0) / 6, 6);
  expect(described.loss).toBeCloseTo(10 * described.restMean, 5);
});

test("a file that is cut short, and one of another kind, are refused", async () => {
  const path = folder.path("short.taught");
  const facts = { identity: "x", length: LENGTH, sequences: 1, top: 1, vocabulary: 9, temperature: 1 };
  writeFileSync(path, Buffer.concat([Buffer.from("PARETOP1"), Buffer.from([8, 0, 0, 0]), Buffer.from("{}      ")]));
  await expect(TaughtText.open(path)).rejects.toThrow(/Cannot read ".*short.taught"/);
  const header = Buffer.from(JSON.stringify(facts));
  const length = Buffer.from(Uint32Array.of(header.byteLength).buffer);
  writeFileSync(path, Buffer.concat([Buffer.from("PARETOP1"), length, header]));
  await expect(TaughtText.open(path)).rejects.toThrow(/bytes, not \d+/);
  writeFileSync(path, "something else altogether");
  await expect(TaughtText.open(path)).rejects.toThrow("it holds no taught text");
});
