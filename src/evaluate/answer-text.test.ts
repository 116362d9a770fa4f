import { expect, test } from "vitest";

import { AnswerText } from "./answer-text.js";

const bytes = (text: string) => new TextEncoder().encode(text);

test("AnswerText shows a character once its last byte is there", () => {
  const answer = new AnswerText();
  const [a, b, c, d] = bytes("🦙");
  expect([answer.push(Uint8Array.of(a!, b!)), answer.push(Uint8Array.of(c!)), answer.push(Uint8Array.of(d!))]).toEqual([
    "",
    "",
    "🦙",
  ]);
  expect(answer.text).toBe("🦙");
});

test("AnswerText ends an incomplete character with U+FFFD", () => {
  const answer = new AnswerText();
  expect(answer.push(Uint8Array.of(0xf0, 0x9f))).toBe("");
  expect(answer.end()).toBe("\uFFFD");
});

test("AnswerText holds back what may begin a stop text, and lets it go when it does not", () => {
  const answer = new AnswerText(["END"]);
  expect(["a", "E", "N", "x", "E"].map((piece) => answer.push(bytes(piece)))).toEqual(["a", "", "", "ENx", ""]);
  expect(answer.end()).toBe("E");
  expect(answer.text).toBe("aENxE");
  expect(answer.isStopped).toBe(false);
});

test("AnswerText stops at the first stop text, even across tokens, and drops what follows", () => {
  const answer = new AnswerText(["\n\n", "END"]);
  expect(["one\n", "\ntwo END", "three"].map((piece) => answer.push(bytes(piece)))).toEqual(["one", "", ""]);
  expect(answer.isStopped).toBe(true);
  expect(answer.text).toBe("one");
  expect(answer.end()).toBe("");
});

test("pieces that AnswerText shows add up to its text, whatever the cuts", () => {
  const text = "Grüße, 世界! ST STO STOP nothing";
  const all = bytes(text);
  for (let size = 1; size <= 7; size++) {
    const answer = new AnswerText(["STOP"]);
    let shown = "";
    for (let at = 0; at < all.length; at += size) shown += answer.push(all.subarray(at, at + size));
    shown += answer.end();
    expect(shown).toBe("Grüße, 世界! ST STO ");
    expect(answer.text).toBe(shown);
  }
});
