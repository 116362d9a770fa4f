import { expect, test } from "vitest";

import { canonicalJson } from "./canonical-json.js";

test("canonicalJson() writes the examples of RFC 8785, sections 3.2.2 and 3.2.3", () => {
  const numbers = [Number("333333333.33333329"), 1e30, 4.5, 2e-3, 0.000000000000000000000000001];
  expect(canonicalJson({ numbers, string: '\u20ac$\u000f\nA\'B"\\\\"/', literals: [null, true, false] })).toBe(
    String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
  );
  const keys = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 };
  expect(canonicalJson(keys)).toBe('{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":3}');
});

test("canonicalJson() of what it wrote is the same, and leaves out what is undefined", () => {
  const text = canonicalJson({ b: [1, undefined, { y: undefined, x: "<\u2028>" }], a: -0 });
  expect(text).toBe('{"a":0,"b":[1,null,{"x":"<\u2028>"}]}');
  expect(canonicalJson(JSON.parse(text))).toBe(text);
});

test.each([[Number.NaN], [Infinity], ["half \ud83d"], [() => 1], [1n]])("canonicalJson() refuses %s", (value) => {
  expect(() => canonicalJson({ value: [value] })).toThrow(TypeError);
});
