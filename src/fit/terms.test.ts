import { expect, test } from "vitest";

import { deviceSchema } from "./device.js";
import { termsOf, workloadOf } from "./terms.js";

test("workloadOf() cuts the usual request to the context, and leaves one that is asked for as it is", () => {
  expect(workloadOf({}, 4096)).toMatchObject({
    promptTokens: 512,
    answerTokens: 128,
    concurrency: 1,
    utilisation: 0.5,
  });
  expect(workloadOf({}, 256)).toMatchObject({ promptTokens: 192, answerTokens: 64 });
  const asked = { promptTokens: 1000, answerTokens: 10, concurrency: 4 };
  expect(workloadOf({ workload: asked, utilisation: 0.3 }, 256)).toEqual({ ...asked, utilisation: 0.3 });
});

test("termsOf() takes watts and rent of the device, and the world's grid where none is named", () => {
  const device = deviceSchema.parse({ name: "a", memoryBytes: 1, watts: 5, pricePerHour: 2 });
  expect(termsOf({}, device)).toMatchObject({
    watts: 5,
    pricePerHour: 2,
    grid: { region: "world" },
    endpoint: undefined,
  });
  const asked = termsOf({ grid: "12", endpoint: "1/2" }, device);
  expect(asked.grid.gramsPerKilowattHour).toBe(12);
  expect(asked.endpoint).toEqual({ promptPerMillion: 1, answerPerMillion: 2 });
});
