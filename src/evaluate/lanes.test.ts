// With flash attention, logits still keep every bit however a prompt is cut and whatever is stepped beside it.
import { createHash } from "node:crypto";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { temporaryFolder } from "../../test/command.js";
import { writeSyntheticModel } from "../../test/synthetic-model.js";
import { loadEngine } from "../native/engine.js";
import { LlamaModel } from "../native/llama-model.js";
import { Lanes, PAGE_TOKENS, pieceLength } from "./lanes.js";

test("pieceLength() leaves no piece below the least, and cuts at whole pages", () => {
  for (let length = 1; length < 1500; length++) {
    for (const most of [64, 200, 512]) {
      for (let left = length; left > 0;) {
        const piece = pieceLength(left, most, 64);
        expect(piece).toBeLessThan(Math.max(most + 1, 128));
        if (length >= 64) expect(piece).toBeGreaterThanOrEqual(64);
        left -= piece;
        if (left > 0) expect((length - left) % PAGE_TOKENS).toBe(0);
      }
    }
  }
});

const hash = (logits: Float32Array): string =>
  createHash("md5")
    .update(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength))
    .digest("hex");

describe.each([1, 2])("Lanes with flash attention on %i threads", (threads) => {
  const folder = temporaryFolder();
  let model: LlamaModel;
  let lanes: Lanes;
  beforeAll(async () => {
    await writeSyntheticModel(folder.path("synthetic.gguf"), { contextLength: 1024, endless: true });
    model = LlamaModel.load(loadEngine(), folder.path("synthetic.gguf"));
    lanes = new Lanes(model, { laneTokens: 768, count: 5, threads, flash: true });
  });
  afterAll(() => {
    lanes[Symbol.dispose]();
    model[Symbol.dispose]();
    folder[Symbol.dispose]();
  });

  const prompt = (length: number): number[] =>
    Array.from({ length }, (_, i) => 3 + ((i * i + i) % (model.vocabularySize - 3)));

  /** Logits after a prompt that is cut where `most` says. */
  function prefill(lane: number, tokens: readonly number[], most: number): string {
    lanes.clear(lane);
    for (;;) {
      const logits = lanes.prefillPiece(lane, tokens, most);
      if (logits) return hash(logits);
    }
  }

  test.each([9, 63, 64, 100, 130, 300, 601])("a prompt of %i tokens may be cut anywhere", (length) => {
    const seen = [512, 200, 130, 64].map((most, lane) => prefill(lane, prompt(length), most));
    expect(new Set(seen).size).toBe(1);
  });

  test.each([40, 200, ...(threads === 1 ? [500] : [])])(
    "a step at %i tokens is the same alone and beside others",
    (length) => {
      for (let lane = 0; lane < 5; lane++) prefill(lane, prompt(lane === 2 ? length : 90 + 100 * lane), 512);
      const seen = [[2], [2, 3], [0, 1, 2], [0, 1, 2, 3, 4]].map((chosen) => {
        let found = "";
        const lengths = chosen.map((lane) => lanes.length(lane));
        lanes.step(
          chosen.map((lane) => ({ lane, token: 7 })),
          (i, logits) => {
            if (chosen[i] === 2) found = hash(logits);
          },
        );
        chosen.forEach((lane, i) => lanes.truncate(lane, lengths[i]!));
        return found;
      });
      expect(new Set(seen).size).toBe(1);
    },
  );
});
