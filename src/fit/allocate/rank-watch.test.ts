import { expect, test } from "vitest";

import { dealWindows } from "./calibration-windows.js";
import type { LlamaModel } from "../../native/llama-model.js";
import { RankWatch, type WatchedInput, textRemedy } from "./rank-watch.js";

const remedy = (tokens: number) => `${tokens} would do`;

test("RankWatch is silent where every input saw as many tokens as it has columns", () => {
  const watch = new RankWatch();
  watch.see(plain(0, 64, 64));
  watch.see(experts(0, 64, [64, 100]));
  expect(watch.warnings(remedy)).toEqual([]);
});

test("RankWatch warns once of all plain inputs, with the widest, the tokens, the damping and what would do", () => {
  const watch = new RankWatch();
  watch.see(plain(0, 64, 100));
  watch.see(plain(1, 2048, 100));
  watch.see(plain(2, 128, 100));
  const warnings = watch.warnings(remedy);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain('100 tokens were looked at, fewer than the 2,048 columns of the widest input ("blk.1.');
  expect(warnings[0]).toContain("of 2 of 3 inputs");
  expect(warnings[0]).toContain("damping of 1 %");
  expect(warnings[0]).toMatch(/2048 would do$/);
});

test("RankWatch names the damping of an embedding that is the output, too", () => {
  const tied = { ...plain(-1, 64, 32), name: "token_embd.weight", weights: ["token_embd.weight"] };
  const watch = new RankWatch();
  watch.see(tied);
  expect(watch.warnings(remedy)[0]).toContain("damping of 100 % of the mean square stands in");
  watch.see(plain(0, 64, 32));
  expect(watch.warnings(remedy)[0]).toContain(
    'damping of 1 % of the mean square (100 % for "token_embd.weight") stands in',
  );
});

test("RankWatch counts an expert once, whichever of its inputs it saw too little of", () => {
  const watch = new RankWatch();
  watch.see(experts(0, 64, [0, 63, 64, 200]));
  watch.see({ ...experts(0, 128, [0, 63, 64, 200]), name: "blk.0.ffn_down_exps.weight" });
  watch.see(experts(1, 64, [64, 64, 64, 64]));
  const warnings = watch.warnings(remedy);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain("3 of 8 experts saw fewer tokens");
  expect(warnings[0]).toContain('the fewest: 0 of 64, expert 0 of "blk.0.ffn_up_exps.weight"');
});

test("textRemedy() names the effort that looks at so much text", () => {
  expect(textRemedy("fast", 512)(4096)).toBe("4,608 tokens of text or more would do");
  expect(textRemedy("fast", 512)(14_336)).toBe("15,872 tokens of text or more and --effort default would do");
  expect(textRemedy("default", 512)(65_536)).toContain("--effort high would do");
  expect(textRemedy("high", 512)(1e6)).toBe("No effort looks at so much text");
});

test.each([1, 6, 7, 13, 14, 15, 40])("textRemedy() asks for text that leaves %i windows to look at", (windows) => {
  const contextLength = 16;
  const wanted = windows * contextLength;
  const found = /^([\d,]+) tokens/.exec(textRemedy("high", contextLength)(wanted))![1]!;
  const tokens = Number(found.replaceAll(",", ""));
  const deal = (length: number) =>
    dealWindows(lettersModel(), ["x".repeat(length)], { statisticsTokens: 1e6, measureTokens: 1e6 }, { contextLength });
  expect(deal(tokens).statistics.length).toBeGreaterThanOrEqual(windows);
  if (windows > 1) expect(deal(tokens - contextLength).statistics.length).toBeLessThan(windows);
});

function plain(layer: number, columns: number, tokens: number): WatchedInput {
  const name = `blk.${layer}.ffn_down.weight`;
  return { name, weights: [name], layer, columns, isRouted: false, counts: [tokens] };
}

function experts(layer: number, columns: number, counts: number[]): WatchedInput {
  const name = `blk.${layer}.ffn_up_exps.weight`;
  return { name, weights: [name], layer, columns, isRouted: true, counts };
}

/** A token per character. */
function lettersModel(): LlamaModel {
  return {
    addsBos: false,
    contextLengthTrained: 512,
    metadata: () => undefined,
    tokenize: (text: string) => new Int32Array(text.length),
  } as unknown as LlamaModel;
}
