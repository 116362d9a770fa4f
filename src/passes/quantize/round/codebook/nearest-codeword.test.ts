import { expect, test } from "vitest";

import { loadGgml } from "../../../../native/engine.js";
import { Random } from "../../../../support/random.js";
import { CODEBOOK_TYPES, codebookFormat } from "./codebook-format.js";
import { evenSigns, isOdd } from "./codebook-rows.js";
import { type Codebook, codebookOf } from "./codebook.js";
import { EightSearch } from "./eight-search.js";
import { nearestCodeword } from "./nearest-codeword.js";
import { type EightForm, eightForm } from "./problem-forms.js";

const ggml = loadGgml();
const books = CODEBOOK_TYPES.map((type) => codebookOf(ggml, codebookFormat(type)!));

test("codebookOf() reads different codewords of positive magnitudes, arranged by first halves", () => {
  for (const { format, magnitudes, firsts, seconds, codes, runs } of books) {
    const { codeLength, codewords } = format;
    const words = Array.from({ length: codewords }, (_, code) =>
      [...magnitudes.subarray(code * codeLength, (code + 1) * codeLength)].join(),
    );
    expect(new Set(words).size).toBe(codewords);
    expect(Math.min(...magnitudes)).toBeGreaterThan(0);
    expect(runs.at(-1)).toBe(codewords);
    const half = codeLength / 2;
    for (let h = 0; h + 1 < runs.length; h++) {
      for (let at = runs[h]!; at < runs[h + 1]!; at++) {
        const word = [
          ...firsts.subarray(h * half, (h + 1) * half),
          ...seconds.subarray(at * half, (at + 1) * half),
        ].join();
        expect(word).toBe(words[codes[at]!]);
      }
    }
  }
});

test("codebookOf() finds the odd numbers to 15 in the codewords of iq3_s", () => {
  const book = books.find(({ format }) => format.type === "iq3_s")!;
  expect([...new Set(book.magnitudes)].sort((a, b) => a - b)).toEqual([1, 3, 5, 7, 9, 11, 13, 15]);
});

test("nearestCodeword() is the best of all codewords, whatever the form and the signs", () => {
  const random = new Random(11);
  for (const book of books) {
    const { codeLength, codewords } = book.format;
    for (let turn = 0; turn < 40; turn++) {
      const form = randomForm(random, codeLength, turn % 4);
      const part = form.parts[0]!;
      const signs = random.integer(1 << codeLength);
      const target = randomTarget(random, book).subarray(0, codeLength);
      const linear = Float64Array.from({ length: codeLength }, (_, i) =>
        target.reduce((sum, value, j) => sum + part.whole[i * codeLength + j]! * value, 0),
      );
      const costOf = (code: number) => {
        const x = signed(book, code, signs);
        return x.reduce((sum, a, i) => {
          return sum + a * (x.reduce((s, b, j) => s + part.whole[i * codeLength + j]! * b, 0) - 2 * linear[i]!);
        }, 0);
      };
      const costs = Array.from({ length: codewords }, (_, code) => costOf(code));
      expect(costs[nearestCodeword(book, part, signs, linear)]).toBeCloseTo(Math.min(...costs), 8);
    }
  }
});

test("round() gives back a target that can be stored", () => {
  const random = new Random(12);
  for (const book of books) {
    const { isSignCountEven, codewords, codeLength } = book.format;
    const search = new EightSearch(book);
    for (let turn = 0; turn < 20; turn++) {
      const signs = isSignCountEven ? evenSigns(random.integer(128)) : random.integer(256);
      const codes = Uint16Array.from({ length: 8 / codeLength }, () => random.integer(codewords));
      search.place(Uint8Array.of(signs), codes, 0);
      const target = search.point.slice();
      search.round(randomForm(random, codeLength, 0));
      expect(search.point).toEqual(target);
      expect(search.signs).toBe(signs);
    }
  }
});

test("round() and descend() stay storable, keep the slope, and the cost never rises", () => {
  const random = new Random(13);
  for (const book of books) {
    const { isSignCountEven, codewords, codeLength } = book.format;
    const search = new EightSearch(book);
    for (let turn = 0; turn < 40; turn++) {
      const form = randomForm(random, codeLength, 3);
      const target = randomTarget(random, book);
      search.point.set(target);
      search.round(form);
      const rounded = costOf(form, search.point, target);
      for (let i = 0; i < 8; i++) {
        const slope = search.point.reduce((sum, c, j) => sum + form.whole[i * 8 + j]! * (c - target[j]!), 0);
        expect(search.slope[i]).toBeCloseTo(slope, 8);
      }
      search.descend(form);
      expect(costOf(form, search.point, target)).toBeLessThanOrEqual(rounded * (1 + 1e-12));
      expect(isSignCountEven && isOdd(search.signs)).toBe(false);
      for (const code of search.codes) expect(code).toBeLessThan(codewords);
      const [signs, codes] = [new Uint8Array(1), new Uint16Array(8 / codeLength)];
      search.store(signs, codes, 0);
      const point = search.point.slice();
      search.place(signs, codes, 0);
      point.forEach((value, i) => expect(search.point[i]).toBeCloseTo(value, 10));
    }
  }
});

test("round() lies within a few percent of the best of all signs and codewords on average", () => {
  const random = new Random(14);
  const book = books[0]!;
  const search = new EightSearch(book);
  let [found, best] = [0, 0];
  for (let turn = 0; turn < 100; turn++) {
    const form = randomForm(random, 8, 0.5);
    const target = randomTarget(random, book);
    search.point.set(target);
    search.round(form);
    found += costOf(form, search.point, target);
    const linear = target.map((_, i) => target.reduce((sum, t, j) => sum + form.whole[i * 8 + j]! * t, 0));
    const costs = Array.from({ length: 128 }, (_, low) => {
      const signs = evenSigns(low);
      return costOf(form, signed(book, nearestCodeword(book, form.parts[0]!, signs, linear), signs), target);
    });
    best += Math.min(...costs);
  }
  expect(found / best).toBeGreaterThanOrEqual(1);
  expect(found / best).toBeLessThan(1.05);
});

/** Identity and a random positive semidefinite matrix that weighs as much as `correlation` says. */
function randomForm(random: Random, codeLength: number, correlation: number): EightForm {
  const factor = Float64Array.from({ length: 64 }, () => random.normal());
  const whole = Float64Array.from({ length: 64 }, (_, at) => {
    const [i, j] = [at >>> 3, at & 7];
    let sum = 0;
    for (let k = 0; k < 8; k++) sum += factor[i * 8 + k]! * factor[j * 8 + k]!;
    return (i === j ? 1 : 0) + (correlation * sum) / 8;
  });
  return eightForm(whole, codeLength);
}

function randomTarget(random: Random, { magnitudes }: Codebook): Float64Array {
  const spread = Math.max(...magnitudes) / 2;
  return Float64Array.from({ length: 8 }, () => spread * random.normal());
}

function signed({ format, magnitudes }: Codebook, code: number, signs: number): Float64Array {
  const start = code * format.codeLength;
  return magnitudes.slice(start, start + format.codeLength).map((value, i) => ((signs >>> i) & 1 ? -value : value));
}

function costOf({ whole }: EightForm, point: Float64Array, target: Float64Array): number {
  const miss = point.map((value, i) => value - target[i]!);
  return miss.reduce((sum, a, i) => sum + a * miss.reduce((s, b, j) => s + whole[i * 8 + j]! * b, 0), 0);
}
