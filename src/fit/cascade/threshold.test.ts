import { expect, test } from "vitest";

import { Random } from "../../support/random.js";
import { type CascadeCase, chooseThreshold, confirmThreshold } from "./threshold.js";

/** Cases of which the large model gets nine in ten, and the small one as many as its confidence says. */
function drawCases(count: number, seed: number): CascadeCase[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, i) => {
    const confidence = random.next();
    const large = random.next() < 0.9 ? 1 : 0;
    return { id: String(i), confidence, small: random.next() < confidence ** 0.25 ? 1 : 0, large };
  });
}

test("chooseThreshold() takes no more answers of a small model that is always wrong than the bar has to spare", () => {
  const cases = drawCases(500, 1).map((one) => ({ ...one, small: 0 }));
  expect(chooseThreshold(cases, 0.99).smallShare).toBeLessThan(0.01);
  expect(chooseThreshold(cases, 1)).toEqual({ threshold: 2, smallShare: 0 });
});

test("chooseThreshold() takes every answer of a small model that is always right", () => {
  const cases = drawCases(500, 2).map((one) => ({ ...one, small: 1 }));
  const { threshold, smallShare } = chooseThreshold(cases, 0.99);
  expect(smallShare).toBe(1);
  expect(threshold).toBe(Math.min(...cases.map(({ confidence }) => confidence)));
});

test("chooseThreshold() takes cases of one confidence together", () => {
  const cases = [1, 1, 1, 0].map((small, i) => ({ id: String(i), confidence: 0.5, small, large: 1 }));
  expect(chooseThreshold(cases, 0.99).smallShare).toBe(0);
});

test("a threshold chosen on some cases keeps what it promises on others", () => {
  let broken = 0;
  for (let seed = 0; seed < 20; seed++) {
    const { threshold, smallShare } = chooseThreshold(drawCases(2000, 100 + seed), 0.97);
    expect(smallShare).toBeGreaterThan(0.2);
    const truth = confirmThreshold(drawCases(5000, 5000 + seed), threshold, { keep: 0.97, alpha: 0.025 });
    if (truth.score.cascade < 0.97 * truth.score.large) broken++;
  }
  expect(broken).toBeLessThanOrEqual(4); // 5 % of 20, and chance
});

test("confirmThreshold() claims no more than the cases show", () => {
  const cases = drawCases(3000, 3);
  const clears = confirmThreshold(cases, chooseThreshold(cases, 0.97).threshold, { keep: 0.9, alpha: 0.025 });
  expect(clears.standing).toBe("clears");
  const all = confirmThreshold(cases, 0, { keep: 0.97, alpha: 0.025 });
  expect(all).toMatchObject({ standing: "fails", smallShare: 1 });
  expect(all.score.cascade).toBe(all.score.small);
  const none = confirmThreshold(cases, 2, { keep: 0.97, alpha: 0.025 });
  expect(none).toMatchObject({ smallShare: 0, kept: { mean: 1 } });
  expect(confirmThreshold(cases.slice(0, 5), 0.5, { keep: 0.97, alpha: 0.025 }).standing).toBe("undecided");
});
