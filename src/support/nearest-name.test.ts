import { expect, test } from "vitest";

import { nearestName } from "./nearest-name.js";

const devices = ["raspberry-pi-5", "iphone", "phone", "h100", "laptop-8gb", "laptop-16gb"];

test("nearestName() corrects a typing mistake", () => {
  expect(nearestName("rasberry-pi-5", devices)).toBe("raspberry-pi-5");
  expect(nearestName("H10O", devices)).toBe("h100");
});

test("nearestName() completes a part of a name, the shortest first", () => {
  expect(nearestName("pi", devices)).toBe("raspberry-pi-5");
  expect(nearestName("phon", devices)).toBe("phone");
  expect(nearestName("laptop", devices)).toBe("laptop-8gb");
});

test("nearestName() stays silent when nothing is near", () => {
  expect(nearestName("mainframe", devices)).toBeUndefined();
  expect(nearestName("", devices)).toBeUndefined();
});
