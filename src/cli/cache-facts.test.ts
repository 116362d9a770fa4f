import { expect, test } from "vitest";

import { cacheFacts, runCommand } from "./cache-facts.js";

const divergence = { mean: 0.00123, standardError: 0.00012, tokens: 510, contextLength: 512 };
const cache = { typeK: "q8_0", typeV: "q5_1", sizeBytes: 15_500_000, contextLength: 4096, divergence } as const;

test("cacheFacts() says what the cache takes and costs, on which windows, and how it is run", () => {
  expect(cacheFacts({ cache }, "out.gguf")).toEqual([
    ["KV cache", "K q8_0, V q5_1: 15.5 MB for 4,096 tokens"],
    ["", "0.00123 ± 0.00012 nats per token more, measured on windows of 512 tokens"],
    ["run", "llama-cli -m out.gguf -c 4096 -ctk q8_0 -ctv q5_1 -fa on"],
    ["", "on CUDA in a build with GGML_CUDA_FA_ALL_QUANTS"],
  ]);
});

test("cacheFacts() of equal types that every backend has says nothing of builds, and none of no cache", () => {
  expect(cacheFacts({ cache: { ...cache, typeV: "q8_0" } }, "out.gguf")).toHaveLength(3);
  expect(cacheFacts({}, "out.gguf")).toEqual([]);
});

test("runCommand() asks for nothing special with f16, and quotes what a shell would read", () => {
  const full = { ...cache, typeK: "f16", typeV: "f16" } as const;
  expect(runCommand(full, "out.gguf")).toBe("llama-cli -m out.gguf -c 4096");
  expect(runCommand(cache, "my model's.gguf")).toBe(
    String.raw`llama-cli -m 'my model'\''s.gguf' -c 4096 -ctk q8_0 -ctv q5_1 -fa on`,
  );
});

test("cacheFacts() says that a cache in f16 costs nothing", () => {
  const full = { ...cache, typeK: "f16", typeV: "f16", divergence: { ...divergence, mean: 0, tokens: 0 } } as const;
  expect(cacheFacts({ cache: full }, "out.gguf")[1]).toEqual(["", "as the original's, so it costs nothing"]);
});
