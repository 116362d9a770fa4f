import { expect, test } from "vitest";

import { LLAMA, metadataOf, tensorsOf } from "../../test/model-shapes.js";
import type { Model } from "../model/model.js";
import { modelSpec } from "../model/spec.js";
import { deviceSchema } from "./device.js";
import { median, specifiedDecode, specifiedSpeeds } from "./speed.js";

const board = deviceSchema.parse({ name: "a", memoryBytes: 1, bandwidthBytesPerSecond: 100e9, flopsPerSecond: 1e12 });

test("specifiedDecode() discounts a specified bandwidth and trusts a measured one, with a band around both", () => {
  expect(specifiedDecode(board, 1e9)).toEqual({ value: 60, low: 45, high: 77 });
  expect(specifiedDecode({ ...board, bandwidthSource: "measured" }, 1e9)!.value).toBe(100);
  expect(specifiedDecode(deviceSchema.parse({ name: "a", memoryBytes: 1 }), 1e9)).toBeNull();
});

test("specifiedSpeeds() takes two operations for each parameter of a prompt's token, and says nothing of what is unknown", () => {
  const tensors = tensorsOf({ "blk.0.attn_q.weight": [1000, 1000] });
  const model = {
    spec: modelSpec(metadataOf("llama", LLAMA), tensors),
    tensors: tensors as unknown as Model["tensors"],
  };
  expect(specifiedSpeeds(board, model, 0).prefillTokensPerSecond!.value).toBeCloseTo(0.45 * (1e12 / 2e6), 3);
  const { flopsPerSecond: _, ...silent } = board;
  expect(specifiedSpeeds(silent, model, 0).prefillTokensPerSecond).toBeNull();
});

test("median() of odd and even counts", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([7])).toBe(7);
});
