import { expect, test } from "vitest";

import { Random } from "../../support/random.js";
import { type Choice, packItems } from "./knapsack.js";

/** The exact answer: all packings that no other beats in both bytes and value, item by item (Nemhauser and Ullmann, 1969). */
function packExactly(items: readonly (readonly Choice[])[], budgetBytes: number): number | undefined {
  let front: Choice[] = [{ bytes: 0, value: 0 }];
  for (const choices of items) {
    const all = front.flatMap((a) => choices.map((b) => ({ bytes: a.bytes + b.bytes, value: a.value + b.value })));
    front = [];
    for (const choice of all.sort((a, b) => a.bytes - b.bytes || a.value - b.value)) {
      if (choice.bytes <= budgetBytes && choice.value < (front.at(-1)?.value ?? Infinity)) front.push(choice);
    }
  }
  return front.at(-1)?.value;
}

const BITS = [2.625, 3.4375, 4.25, 4.5, 5.5, 6.5625, 8.5, 16];

/** Items like tensors: sizes a factor of 20 apart, losses falling some fourfold per bit, noisy, so not always convex. */
function drawItems(random: Random, count: number): Choice[][] {
  return Array.from({ length: count }, () => {
    const weights = 256 * Math.ceil(40 * Math.exp(3 * random.next()));
    const sensitivity = Math.exp(1.5 * random.normal());
    return random.shuffled(BITS).map((bits) => ({
      bytes: Math.ceil((weights * bits) / 8 / 32) * 32,
      value: bits === 16 ? 0 : sensitivity * 4 ** -bits * Math.exp(0.4 * random.normal()),
    }));
  });
}

const sum = (items: Choice[][], pick: (bytes: number[]) => number) =>
  items.reduce((total, choices) => total + pick(choices.map(({ bytes }) => bytes)), 0);

/** Seeded instances, each with its budget. */
function* instances(count: number, sizes: readonly number[]) {
  const random = new Random(7);
  for (let i = 0; i < count; i++) {
    const items = drawItems(random, sizes[i % sizes.length]!);
    const [least, most] = [sum(items, (bytes) => Math.min(...bytes)), sum(items, (bytes) => Math.max(...bytes))];
    yield { items, least, most, budget: Math.floor(least + random.next() * 0.6 * (most - least)) };
  }
}

test("packItems() comes within 0.1 % of the exact optimum on random instances of 3 to 20 items", () => {
  for (const { items, budget } of instances(100, [3, 6, 10, 20])) {
    const exact = packExactly(items, budget)!;
    const { value } = packItems(items, budget)!;
    expect(value).toBeGreaterThanOrEqual(exact * (1 - 1e-12));
    expect(value).toBeLessThanOrEqual(exact * 1.001);
  }
});

test("packItems() never exceeds the budget and fills it to 0.5 % where there are many items", () => {
  for (const { items, budget } of instances(20, [40, 60])) {
    const { bytes } = packItems(items, budget, 0.995 * budget)!;
    expect(bytes).toBeLessThanOrEqual(budget);
    expect(bytes).toBeGreaterThanOrEqual(0.995 * budget);
  }
});

test("packItems() reports the totals of its picks, and a bound that no packing is below", () => {
  for (const { items, budget } of instances(40, [3, 6, 10])) {
    const packing = packItems(items, budget)!;
    const picked = items.map((choices, item) => choices[packing.picks[item]!]!);
    expect(packing.bytes).toBe(picked.reduce((total, { bytes }) => total + bytes, 0));
    expect(packing.value).toBeCloseTo(
      picked.reduce((total, { value }) => total + value, 0),
      12,
    );
    expect(packing.valueBound).toBeLessThanOrEqual(packExactly(items, budget)! * (1 + 1e-12));
  }
});

test("packItems() is within 0.1 % of the bound with 600 items", () => {
  const items = drawItems(new Random(1), 600);
  const [least, most] = [sum(items, (bytes) => Math.min(...bytes)), sum(items, (bytes) => Math.max(...bytes))];
  const { value, valueBound } = packItems(items, Math.floor(0.7 * least + 0.3 * most))!;
  expect(value).toBeLessThanOrEqual(valueBound * 1.001);
});

test("packItems() never gets worse when the budget grows tenfold finer than an item", () => {
  const items = drawItems(new Random(3), 30);
  const [least, most] = [sum(items, (bytes) => Math.min(...bytes)), sum(items, (bytes) => Math.max(...bytes))];
  const values = Array.from({ length: 60 }, (_, i) => packItems(items, least + ((most - least) * i) / 60)!.value);
  for (const [i, value] of values.entries()) if (i > 0) expect(value).toBeLessThanOrEqual(values[i - 1]! * 1.001);
});

test("packItems() takes an exchange that no single step finds", () => {
  // Step by step the first item would take its middle choice, and the second could not pay for its better one.
  const first = [choice(10, 9), choice(20, 4), choice(30, 0)];
  const second = [choice(10, 10), choice(22, 3)];
  expect(packItems([first, second], 32)).toMatchObject({ picks: [0, 1], bytes: 32, value: 12 });
  expect(packItems([first, second], 42)).toMatchObject({ picks: [1, 1], bytes: 42, value: 7 });
});

test("packItems() spends bytes that it was granted on a packing that is next to as good", () => {
  const small = [choice(100, 50), choice(900, 0)];
  const [a, b] = [
    [choice(0, 10), choice(100, 5)],
    [choice(0, 10), choice(50, 4.99)],
  ];
  expect(packItems([small, a, b], 1000)).toMatchObject({ picks: [1, 0, 1], bytes: 950 });
  expect(packItems([small, a, b], 1000, 995)).toMatchObject({ picks: [1, 1, 0], bytes: 1000 });
});

test("packItems() leaves a budget that is more than enough, and answers nothing to one that is too small", () => {
  const items = [[choice(1, 5), choice(4, 1), choice(9, 1)], [choice(2, 2)]];
  expect(packItems(items, 1000, 995)).toEqual({ picks: [1, 0], bytes: 6, value: 3, valueBound: 3 });
  expect(packItems(items, 3)).toMatchObject({ picks: [0, 0], bytes: 3, value: 7 });
  expect(packItems(items, 2)).toBeUndefined();
  expect(packItems([], 0)).toMatchObject({ picks: [], bytes: 0 });
  expect(() => packItems([[]], 10)).toThrow(RangeError);
});

function choice(bytes: number, value: number): Choice {
  return { bytes, value };
}
