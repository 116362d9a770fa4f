import { expect, test } from "vitest";

import { counted } from "./wording.js";

test("counted() has one of a kind, and several", () => {
  expect([counted(1, "cases"), counted(2, "cases"), counted(1, "confirmation tokens")]).toEqual([
    "1 case",
    "2 cases",
    "1 confirmation token",
  ]);
});
