import { expect, test } from "vitest";

import { EFFORTS, driftGroupsOf, recoveryStepsOf, substitutionsOf } from "./effort.js";

test("substitutionsOf() is the plan's number for a small model, and less the larger a model is, down to a least", () => {
  const { default: plan } = EFFORTS;
  expect(substitutionsOf(plan, 15e6)).toBe(plan.substitutions);
  const [of135M, of1100M] = [substitutionsOf(plan, 135e6), substitutionsOf(plan, 1100e6)];
  expect(of135M).toBeLessThan(plan.substitutions);
  expect(of1100M).toBeLessThan(of135M);
  expect(substitutionsOf(plan, 70e9)).toBe(of1100M);
});

test("substitutionsOf() leaves none out where time is no matter", () => {
  expect(substitutionsOf(EFFORTS.high, 70e9)).toBe(Infinity);
});

test("driftGroupsOf() is the plan's number for a small model, fewer of a larger one, and never one alone", () => {
  const { default: plan, high, fast } = EFFORTS;
  expect(driftGroupsOf(plan, 26e6)).toBe(plan.driftGroups);
  expect(driftGroupsOf(plan, 135e6)).toBe(plan.driftGroups - 2);
  expect([driftGroupsOf(plan, 1.1e9), driftGroupsOf(plan, 70e9)]).toEqual([2, 2]);
  expect(driftGroupsOf(high, 70e9)).toBe(high.driftGroups);
  expect(driftGroupsOf(fast, 1e6)).toBe(0);
});

test("recoveryStepsOf() is fewer for a larger model, down to a least, unless time is no matter", () => {
  const { default: plan, high } = EFFORTS;
  expect(recoveryStepsOf(plan, 4e6)).toBe(plan.recoverySteps);
  expect(recoveryStepsOf(plan, 25e6)).toBe(200);
  expect(recoveryStepsOf(plan, 1.1e9)).toBe(recoveryStepsOf(plan, 70e9));
  expect(recoveryStepsOf(plan, 1.1e9)).toBeLessThan(recoveryStepsOf(plan, 135e6));
  expect(recoveryStepsOf(high, 70e9)).toBe(high.recoverySteps);
});
