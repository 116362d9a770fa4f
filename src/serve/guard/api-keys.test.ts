import { expect, test } from "vitest";

import { ApiKeys, addKeysOfEnvironment } from "./api-keys.js";

test.each([
  [undefined, false],
  ["", false],
  [" ", false],
  ["sk-alice-0001, sk-bob-000002", true],
])("PARE_API_KEY=%s: keys are needed is %s", (value, areNeeded) => {
  const keys = new ApiKeys();
  addKeysOfEnvironment(keys, value);
  expect(keys.areNeeded).toBe(areNeeded);
});

test("PARE_API_KEY with an empty key among others is refused", () => {
  expect(() => addKeysOfEnvironment(new ApiKeys(), "sk-alice-0001,,sk-bob-000002")).toThrow("shorter than 8");
});
