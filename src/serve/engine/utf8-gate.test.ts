import { expect, test } from "vitest";

import { Random } from "../../support/random.js";
import { Utf8Gate } from "./utf8-gate.js";

test("accepts exactly what a strict decoder accepts, however it is cut", () => {
  const random = new Random(1);
  const strict = new TextDecoder("utf-8", { fatal: true });
  const byte = (): number => (random.next() < 0.3 ? 0x41 : 0x80 + Math.floor(random.next() * 128));
  let valid = 0;
  for (let i = 0; i < 20_000; i++) {
    const bytes = Uint8Array.from({ length: 1 + Math.floor(random.next() * 5) }, byte);
    const gate = new Utf8Gate();
    let isAccepted = true;
    for (const one of bytes) {
      const piece = Uint8Array.of(one);
      isAccepted &&= gate.accepts(piece);
      if (isAccepted) gate.take(piece);
    }
    let isValid = true;
    try {
      strict.decode(bytes);
      valid++;
    } catch {
      isValid = false;
    }
    expect([bytes, isAccepted && gate.isBetweenCharacters]).toEqual([bytes, isValid]);
  }
  expect(valid).toBeGreaterThan(1000);
});
