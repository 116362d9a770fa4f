import { describe, expect, test } from "vitest";

import { fromFloat16, toFloat16 } from "../../../support/float16.js";
import { Random } from "../../../support/random.js";
import { CLEARLY, fitGroup } from "./fit-group.js";
import { type RowScales, fitScales } from "./fit-scales.js";
import { codeOf } from "./nearest-code.js";
import { type ScalarFormat, scalarFormat } from "./scalar-format.js";
import { SCALAR_LAYOUTS, type ScalarType } from "./scalar-layouts.js";

const TYPES = Object.keys(SCALAR_LAYOUTS) as ScalarType[];

describe.each(TYPES)("%s", (type) => {
  const format = scalarFormat(type)!;
  const { blockWeights, groupWeights, levels, minMax } = format;

  test("fitGroup() finds the scale and offset that targets were made with", () => {
    const random = new Random(2).fork(type);
    for (let turn = 0; turn < 20; turn++) {
      const scale = 0.01 + random.next();
      const offset = minMax > 0 ? -levels.at(-1)! * scale * (0.2 + 0.6 * random.next()) : 0;
      const codes = Array.from({ length: groupWeights }, (_, i) =>
        i < 2 ? i * (levels.length - 1) : random.integer(levels.length),
      );
      const targets = Float64Array.from(codes, (code) => scale * levels[code]! + offset);
      const fit = fitGroup(format, targets, randomWeights(random, groupWeights));
      expect(Math.abs(fit.scale)).toBeCloseTo(scale, 10);
      expect(fit.offset).toBeCloseTo(offset, 10);
    }
  });

  test("fitGroup() is nearer than the scale that just holds the largest weight, whatever the weights' costs", () => {
    const random = new Random(3).fork(type);
    for (let turn = 0; turn < 50; turn++) {
      const targets = Float64Array.from({ length: groupWeights }, () => random.normal());
      const weights = randomWeights(random, groupWeights, turn % 2 ? 1e5 : 1);
      const [low, high] = [Math.min(0, ...targets), Math.max(...targets)];
      const plain =
        minMax > 0
          ? { scale: (high - low) / levels.at(-1)!, offset: low }
          : { scale: targets.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a)) / levels[0]!, offset: 0 };
      const fit = fitGroup(format, targets, weights);
      expect(errorOf(format, targets, weights, fit)).toBeLessThanOrEqual(
        errorOf(format, targets, weights, plain) / CLEARLY,
      );
      if (minMax > 1) expect(fit.offset).toBeLessThanOrEqual(0);
    }
  });

  test("fitGroup() of zeros, and of one value everywhere", () => {
    const even = new Float32Array(groupWeights).fill(1);
    const zero = fitGroup(format, new Float64Array(groupWeights), even);
    expect(errorOf(format, new Float64Array(groupWeights), even, zero)).toBe(0);
    for (const value of [0.3, -0.3]) {
      const same = new Float64Array(groupWeights).fill(value);
      expect(errorOf(format, same, even, fitGroup(format, same, even))).toBeLessThan(1e-20);
    }
  });

  test("fitGroup() of values next to each other leaves no more than their mean does", () => {
    const random = new Random(6).fork(type);
    const targets = Float64Array.from({ length: groupWeights }, () => -0.3 + 1e-3 * random.normal());
    const weights = randomWeights(random, groupWeights);
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const mean = targets.reduce((total, target, i) => total + weights[i]! * target, 0) / sum;
    const fit = fitGroup(format, targets, weights);
    const spread = errorOf(format, targets, weights, { scale: 0, offset: mean });
    expect(errorOf(format, targets, weights, fit)).toBeLessThanOrEqual(spread / CLEARLY);
  });

  test("fitScales() stays within what the type stores, from the smallest weights to the largest", () => {
    const random = new Random(4).fork(type);
    for (let power = -40; power <= 28; power++) {
      const targets = Float64Array.from(
        { length: blockWeights },
        () => random.normal() * 2 ** power * (power % 2 ? 1 : random.integer(2)),
      );
      const out = emptyScales(format);
      fitScales(format, targets, randomWeights(random, blockWeights), 0, out);
      for (const half of [...out.superScales, ...out.superMins]) expect(fromFloat16(toFloat16(half))).toBe(half);
      for (const scale of out.scales) expect(scale >= format.scaleMin && scale <= format.scaleMax).toBe(true);
      for (const min of out.mins) expect(min <= minMax).toBe(true);
      if (minMax === 1) expect([...out.mins]).toEqual([1]);
    }
  });
});

test.each(TYPES.filter((type) => SCALAR_LAYOUTS[type].groups))(
  "fitScales() of %s leaves less than scales and offsets that are rounded each for itself",
  (type) => {
    const format = scalarFormat(type)!;
    const { blockWeights, groupWeights, minMax } = format;
    const random = new Random(5).fork(type);
    let [ours, theirs] = [0, 0];
    for (let turn = 0; turn < 40; turn++) {
      const targets = Float64Array.from({ length: blockWeights }, () => random.normal());
      const weights = randomWeights(random, blockWeights, 100);
      const out = emptyScales(format);
      fitScales(format, targets, weights, 0, out);
      for (let group = 0; group < blockWeights / groupWeights; group++) {
        const [start, end] = [group * groupWeights, (group + 1) * groupWeights];
        const part = [targets.subarray(start, end), weights.subarray(start, end)] as const;
        const offset = minMax > 0 ? -out.superMins[0]! * out.mins[group]! : 0;
        ours += errorOf(format, ...part, { scale: out.superScales[0]! * out.scales[group]!, offset });
        const fit = fitGroup(format, ...part);
        const nearest = (value: number, unit: number) => unit * Math.round(value / unit);
        theirs += errorOf(format, ...part, {
          scale: nearest(fit.scale, out.superScales[0]!),
          offset: minMax > 0 ? nearest(fit.offset, out.superMins[0]!) : 0,
        });
      }
    }
    expect(ours).toBeLessThan(theirs);
  },
);

function emptyScales({ blockWeights, groupWeights, minMax }: ScalarFormat): RowScales {
  const groups = blockWeights / groupWeights;
  return {
    superScales: new Float32Array(1),
    superMins: new Float32Array(minMax > 0 ? 1 : 0),
    scales: new Int16Array(groups),
    mins: new Uint8Array(minMax > 0 ? groups : 0),
  };
}

/** Costs, one of which is `heaviest` times the others. */
function randomWeights(random: Random, count: number, heaviest = 1): Float32Array {
  const weights = Float32Array.from({ length: count }, () => 0.5 + random.next());
  weights[random.integer(count)]! *= heaviest;
  return weights;
}

function errorOf(
  format: ScalarFormat,
  targets: Float64Array,
  weights: Float32Array,
  { scale, offset }: { scale: number; offset: number },
): number {
  let error = 0;
  targets.forEach((target, i) => {
    const level = scale === 0 ? 0 : format.levels[codeOf(format, (target - offset) / scale)]!;
    error += weights[i]! * (target - scale * level - offset) ** 2;
  });
  return error;
}
