import { expect, test } from "vitest";

import golden from "../../../test/golden/chrf.json" with { type: "json" };
import { scoreOf } from "../../../test/score-case.js";
import { chrfOf } from "./chrf.js";

test.each(golden.pairs)("chrfOf() agrees with sacrebleu on $hypothesis", ({ hypothesis, reference, chrf }) => {
  expect(100 * chrfOf(hypothesis, reference)).toBeCloseTo(chrf, 9);
});

test("chrf takes the reference that is nearest", async () => {
  const fields = { scorer: "chrf", expect: ["a wholly other text", "the cat sat"] };
  expect(await scoreOf("the cat sat", fields)).toEqual({ value: 1 });
  const { value, explanation } = await scoreOf("the cat sits", fields);
  expect(value).toBeGreaterThan(0.5);
  expect(explanation).toBe(`chrF ${(100 * value!).toFixed(1)} of 100`);
});
