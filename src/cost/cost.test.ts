import { expect, test } from "vitest";

import { exactly, falling, within } from "./band.js";
import { type CostQuestion, costOf, costSchema } from "./cost.js";
import { carbonOf, energyOfMeter, energyOfWatts } from "./energy.js";
import { parseGrid } from "./grid.js";
import { breakEvenOf, moneyOf, parseEndpointPrices } from "./money.js";
import { percentilesOf } from "./percentiles.js";
import { parseWorkload } from "./workload.js";

const workload = { promptTokens: 100, answerTokens: 50, concurrency: 1, utilisation: 0.5 };
const speeds = { prefillTokensPerSecond: exactly(100), decodeTokensPerSecond: exactly(10) }; // 1 s and 5 s

const question: CostQuestion = {
  device: "board",
  source: "predicted",
  workload,
  contextLength: 150,
  fileBytes: 1e6,
  memory: {
    weightsBytes: 1,
    kvCacheBytes: 1,
    computeBytes: 1,
    totalBytes: 3,
    kvBytesPerToken: 1,
    attention: "multi-head, 1 head",
  },
  speeds,
  terms: { watts: 10, pricePerHour: 3.6, grid: parseGrid("500"), endpoint: parseEndpointPrices("10/40") },
};

test("costOf() adds up time, energy, CO2 and money of one request", () => {
  const cost = costOf(question);
  expect(costSchema.parse(cost)).toEqual(cost);
  expect(cost.requestSeconds!.value).toBe(6);
  expect(cost.firstTokenSeconds!.value).toBeCloseTo(1.1, 12);
  expect(cost.energy).toMatchObject({ source: "device watts", prefillJoulesPerToken: { value: 0.1 } });
  expect(cost.energy!.joulesPerRequest!.value).toBeCloseTo(60, 9); // 10 W × 6 s
  expect(cost.carbon!.gramsPerThousandRequests.value).toBeCloseTo(((60 * 500) / 3.6e6) * 1000, 9);
  expect(cost.money!.perThousandRequests.value).toBeCloseTo((1000 * 6 * 0.001) / 0.5, 9); // $0.001 a second, half of it idle
  expect(cost.money!.perMillionTokens.value).toBeCloseTo(cost.money!.perThousandRequests.value * (1000 / 150), 9);
});

test("costOf() says null for what nobody knows, never 0", () => {
  const unknown = costOf({
    ...question,
    speeds: { ...speeds, decodeTokensPerSecond: null },
    terms: { grid: parseGrid("1") },
  });
  expect(unknown).toMatchObject({ requestSeconds: null, energy: null, carbon: null, money: null, breakEven: null });
});

test("costOf() takes the machine's time per request from a measured load of the same concurrency", () => {
  const percentiles = percentilesOf([1]);
  const load = { concurrency: 4, requests: 4, promptTokens: 100, answerTokens: 50, firstTokenSeconds: percentiles };
  const busy = { ...load, tokenSeconds: percentiles, answerTokensPerSecond: 100, secondsPerRequest: 2 };
  const cost = costOf({ ...question, workload: { ...workload, concurrency: 4 }, load: [busy] });
  expect(cost.money!.perThousandRequests.value).toBeCloseTo((1000 * 2 * 0.001) / 0.5, 9);
});

test("energyOfMeter() goes before watts and keeps its label", () => {
  const meter = { source: "rapl", prefillJoulesPerToken: 0.5, decodeJoulesPerToken: 2 } as const;
  expect(energyOfMeter(meter, workload)).toMatchObject({ source: "rapl", joulesPerRequest: { value: 150 } });
  expect(costOf({ ...question, meter }).energy!.source).toBe("rapl");
});

test("energyOfWatts() turns the band of a speed around: slow is dear", () => {
  const energy = energyOfWatts(10, { ...speeds, decodeTokensPerSecond: within(10, 0.5) }, workload);
  expect(energy.decodeJoulesPerToken).toEqual({ value: 1, low: 10 / 15, high: 2 });
  expect(carbonOf({ ...energy, joulesPerRequest: null }, parseGrid("world"), workload)).toBeNull();
});

test("breakEvenOf() finds the volume from which one machine is cheaper, and says when it can't answer so many", () => {
  const price = { perHour: 1, source: "rent" } as const;
  const endpoint = { promptPerMillion: 1000, answerPerMillion: 2000 }; // $0.2 a request
  const even = breakEvenOf(price, endpoint, exactly(1), workload);
  expect(even.requestsPerMonth).toBe(730 / 0.2);
  expect(even.isReachable).toBe(true);
  expect(breakEvenOf(price, endpoint, exactly(1e6), workload).isReachable).toBe(false);
  expect(breakEvenOf(price, { promptPerMillion: 0, answerPerMillion: 0 }, exactly(1), workload).isReachable).toBe(
    false,
  );
});

test("moneyOf() at a tenth of the utilisation is ten times as dear", () => {
  const price = { perHour: 2, source: "electricity" } as const;
  const full = moneyOf(price, exactly(3), { ...workload, utilisation: 1 }).perThousandRequests.value;
  expect(moneyOf(price, exactly(3), { ...workload, utilisation: 0.1 }).perThousandRequests.value).toBeCloseTo(
    10 * full,
    9,
  );
});

test("percentilesOf() takes the nearest rank", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect(percentilesOf(hundred)).toEqual({ p50: 50, p95: 95, p99: 99, max: 100, count: 100 });
  expect(percentilesOf([7])).toEqual({ p50: 7, p95: 7, p99: 7, max: 7, count: 1 });
  expect(() => percentilesOf([])).toThrow(RangeError);
});

test("falling() and within() keep low below high, and no time without an end", () => {
  expect(falling({ value: 2, low: 1, high: 4 }, (x) => 8 / x)).toEqual({ value: 4, low: 2, high: 8 });
  expect(falling(within(20, 2), (speed) => 1 / speed)).toEqual({ value: 0.05, low: 1 / 60, high: 0.5 });
});

test.each([
  [parseWorkload, "512+128", { promptTokens: 512, answerTokens: 128, concurrency: 1 }],
  [parseWorkload, "512 + 128 x4", { promptTokens: 512, answerTokens: 128, concurrency: 4 }],
  [parseGrid, "Germany", { region: "germany", gramsPerKilowattHour: 381 }],
  [parseGrid, "12.5", { region: "as given", gramsPerKilowattHour: 12.5 }],
  [parseEndpointPrices, "0.15/0.60", { promptPerMillion: 0.15, answerPerMillion: 0.6 }],
] as const)("%o reads %s", (parse, text, wanted) => {
  expect(parse(text)).toEqual(wanted);
});

test.each([
  [parseWorkload, "512"],
  [parseWorkload, "0+1"],
  [parseWorkload, "1+1x0"],
  [parseGrid, ""],
  [parseGrid, "-1"],
  [parseGrid, "atlantis"],
  [parseEndpointPrices, "1"],
  [parseEndpointPrices, "-1/2"],
] as const)("%o refuses %s and says what to write", (parse, text) => {
  expect(() => parse(text)).toThrow(/rite/);
});
