import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, expect, test } from "vitest";

import { type BareShape, writeBareModel } from "../../../test/bare-model.js";
import { type ReferenceOptions, referenceTypes } from "../../../test/reference-quantize.js";
import { openModel } from "../../model/open.js";
import { type TypeChoices, assignTypes } from "./assign-types.js";
import { PRESETS } from "./presets.js";

const folder = mkdtempSync(join(tmpdir(), "pare-assign-"));
afterAll(() => rmSync(folder, { recursive: true }));

const SHAPES: Record<string, BareShape> = {
  "2 layers": { layers: 2 },
  "7 layers, tied": { layers: 7, tied: true },
  "9 layers, narrow": { layers: 9, embeddingLength: 288, feedForwardLength: 768 },
  "16 layers, odd rows, tied": { layers: 16, embeddingLength: 144, feedForwardLength: 520, tied: true },
  "24 layers, 4 query heads per KV head": { layers: 24, kvHeads: 2 },
  "33 layers, one KV head": { layers: 33, kvHeads: 1 },
  "32 layers, 8 experts": { layers: 32, kvHeads: 2, experts: 8 },
  "17 layers, 4 experts, tied": { layers: 17, experts: 4, tied: true },
  "12 layers, 16 experts, narrow": { layers: 12, experts: 16, embeddingLength: 96 },
  "80 layers as in Llama 2 70B": { layers: 80, kvHeads: 1 },
  "80 layers as in Qwen2 72B": { layers: 80, kvHeads: 1, architecture: "qwen2" },
  "20 layers, Falcon, 3 matrices in one": {
    layers: 20,
    architecture: "falcon",
    extra: Array.from({ length: 20 }, (_, layer) => [`blk.${layer}.attn_qkv.weight`, 256] as const),
  },
  "matrices that stay": {
    layers: 3,
    extra: [
      ["position_embd.weight", 256],
      ["token_types.weight", 256],
      ["per_layer_token_embd.weight", 256],
      ["per_layer_model_proj.weight", 256],
      ["blk.0.ssm_conv1d.weight", 256],
      ["blk.1.attn_rel_b.weight", 256],
      ["blk.1.attn_kv_b.weight", 256],
      ["blk.1.indexer.k_proj.weight", 256],
      ["blk.2.ffn_down_shexp.weight", 256],
      ["blk.2.attn_q.bias", 256],
    ],
  },
};

/** Pare's types and llama.cpp's, or both refusals, as one comparable text each. */
async function both(path: string, preset: (typeof PRESETS)[number], hasImportance: boolean, choices: TypeChoices = {}) {
  await using model = await openModel(path);
  const reference: ReferenceOptions = {
    ...choices,
    fileType: preset.fileType ?? 0,
    onlyCopy: preset.name === "copy",
    importance: hasImportance ? new Map([["none", new Float32Array(1)]]) : undefined,
  };
  const { spec, tensors } = model;
  const input = { ...choices, spec, tensors: tensors.values(), preset, hasImportance };
  return [
    attempt(() => [...assignTypes(input)].map(([name, { type }]) => `${name} ${type}`)),
    attempt(() => [...referenceTypes(path, reference)].map(([name, type]) => `${name} ${type}`)),
  ] as const;
}

function attempt(types: () => string[]): string[] {
  try {
    return types();
  } catch (error) {
    if (!/no tensor type fallback|not a multiple/.test(String(error))) throw error;
    return ["refused: no fallback"];
  }
}

for (const [name, shape] of Object.entries(SHAPES)) {
  test(`assignTypes() chooses what llama.cpp chooses, every preset: ${name}`, async () => {
    const path = await writeBareModel(join(folder, `${name.replaceAll(/\W/g, "-")}.gguf`), shape);
    for (const preset of PRESETS) {
      for (const hasImportance of [false, true]) {
        const [ours, theirs] = await both(path, preset, hasImportance);
        expect(theirs.length, `${preset.name} was read from the log`).toBeGreaterThan(0);
        expect(ours, `${preset.name}, ${hasImportance ? "with" : "without"} importance`).toEqual(theirs);
      }
    }
  });
}

const CHOICES: Record<string, TypeChoices> = {
  pure: { pure: true },
  "output left": { keepOutput: true },
  "output type": { outputType: "q5_K" },
  "embedding type": { tokenEmbeddingType: "q8_0" },
  "both, pure": { tokenEmbeddingType: "q4_0", outputType: "q6_K", pure: true },
  overrides: {
    overrides: [
      { pattern: "ffn_(up|gate)", type: "q5_1" },
      { pattern: "^blk\\.[01]\\.", type: "q8_0" },
      { pattern: "attn_v", type: "f16" },
    ],
  },
  "override of the values, counted by the rest": {
    overrides: [{ pattern: "blk.(0|3|5).(attn_v|ffn_down)", type: "q3_K" }],
  },
  "override of the embedding": { overrides: [{ pattern: "token_embd", type: "q4_1" }], outputType: "q8_0" },
  "override of the embedding that has a type": {
    overrides: [{ pattern: "token_embd", type: "q4_1" }],
    tokenEmbeddingType: "q8_0",
  },
};

for (const [name, choices] of Object.entries(CHOICES)) {
  test(`assignTypes() takes choices as llama.cpp takes them: ${name}`, async () => {
    for (const tied of [false, true]) {
      const extra = [["per_layer_token_embd.weight", 256]] as const;
      const path = await writeBareModel(join(folder, `choices-${tied}.gguf`), { layers: 9, kvHeads: 2, tied, extra });
      for (const preset of PRESETS) {
        if (choices.overrides && !["q", "i", "t"].includes(preset.name[0]!)) continue; // llama.cpp ignores them there
        const [ours, theirs] = await both(path, preset, true, choices);
        expect(ours, `${preset.name}${tied ? ", tied" : ""}`).toEqual(theirs);
      }
    }
  });
}

test("assignTypes() falls back where a chosen embedding type does not fit the rows", () => {
  const tensors = [{ name: "token_embd.weight", shape: [288, 32], type: "f16" as const }];
  const spec = { architecture: "llama", layers: 1, heads: [6], kvHeads: [6], experts: 0 };
  const types = assignTypes({ tensors, spec, preset: "q8_0", hasImportance: false, tokenEmbeddingType: "q4_K" });
  expect(types.get("token_embd.weight")).toMatchObject({ type: "q5_0", fallbackFrom: "q4_K" });
});

test("assignTypes() obeys overrides beside f16", () => {
  const tensors = [{ name: "blk.0.ffn_up.weight", shape: [256, 32], type: "f32" as const }];
  const spec = { architecture: "llama", layers: 1, heads: [6], kvHeads: [6], experts: 0 };
  const overrides = [{ pattern: "ffn_up", type: "q8_0" as const }];
  const types = assignTypes({ tensors, spec, preset: "f16", hasImportance: false, overrides });
  expect(types.get("blk.0.ffn_up.weight")?.type).toBe("q8_0");
});

test("assignTypes() names a pattern that is no regular expression", () => {
  const spec = { architecture: "llama", layers: 1, heads: [6], kvHeads: [6], experts: 0 };
  const overrides = [{ pattern: "(", type: "q8_0" as const }];
  expect(() => assignTypes({ tensors: [], spec, preset: "q4_0", hasImportance: false, overrides })).toThrow(
    '"(" is no regular expression',
  );
});
