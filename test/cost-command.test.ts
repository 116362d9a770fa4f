// `pare cost` as a shell runs it. What the arithmetic comes to is tested beside it.
import { afterAll, beforeAll, expect, test } from "vitest";

import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { sharedModel } from "./shared.js";
import { writeSyntheticModel } from "./synthetic-model.js";

const inputs = temporaryFolder();
const model = inputs.path("model.gguf");
beforeAll(() => writeSyntheticModel(model, { type: "f16" }));
afterAll(() => inputs[Symbol.dispose]());

test("cost predicts devices with a band, and compares with an endpoint", async () => {
  const devices = ["--device", "cloud-vm", "--device", "raspberry-pi-5"];
  const outcome = await pare(["cost", model, ...devices, "--workload", "100+20x2", "--endpoint", "1/2", "--json"]);
  const { costs } = documentOf("cost", outcome);
  expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
  const [rented, board] = costs as [(typeof costs)[number], (typeof costs)[number]];
  expect(rented).toMatchObject({
    source: "predicted",
    workload: { promptTokens: 100, answerTokens: 20, concurrency: 2 },
  });
  expect(rented.decodeTokensPerSecond!.low).toBeLessThan(rented.decodeTokensPerSecond!.high);
  expect(rented.breakEven!.endpointPerThousandRequests).toBeCloseTo(0.14, 9);
  expect(rented).toMatchObject({ energy: null, carbon: null, money: { source: "rent" } });
  expect(board).toMatchObject({ money: null, breakEven: null, energy: { source: "device watts" } });
});

test.skipIf(!sharedModel("stories260K-f32.gguf"))("cost measures this machine, under concurrency too", async () => {
  const args = ["cost", sharedModel("stories260K-f32.gguf")!, "--workload", "16+8x2", "--threads", "1"];
  const [cost] = documentOf("cost", await pare([...args, "--json"])).costs;
  expect(cost).toMatchObject({
    source: "measured",
    memory: { attention: "grouped-query, 8 heads share 4 keys and values" },
  });
  expect(cost!.load!.map(({ concurrency }) => concurrency)).toEqual([1, 2]);
  expect(cost!.memory.residentBytes).toBeGreaterThan(cost!.memory.weightsBytes);
});

test.each([
  [["--workload", "many"], /workload/],
  [["--grid", "germny"], /germany/],
  [["--endpoint", "cheap"], /price/],
  [["--device", "no-such-device"], /No device/],
])("cost refuses %o with exit code 2", async (options, message) => {
  const outcome = await pare(["cost", model, ...options, "--json"]);
  expect(outcome.exitCode).toBe(2);
  expect(failureOf(outcome).message).toMatch(message);
});
