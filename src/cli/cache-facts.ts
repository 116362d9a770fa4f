// What is said of a KV cache: its types, what they cost, and the command of llama.cpp that runs the file with it.
import type { CalibratedResult } from "../fit/allocate/quantize-calibrated.js";
import { shellQuote } from "../support/shell-quote.js";
import { formatBytes, formatCount } from "../support/units.js";

/** Lines for the output; none where no cache was asked for. */
export function cacheFacts(
  { cache }: Pick<CalibratedResult, "cache">,
  output: string,
): [label: string, text: string][] {
  if (!cache) return [];
  const { typeK, typeV, sizeBytes, contextLength } = cache;
  return [
    ["KV cache", `K ${typeK}, V ${typeV}: ${formatBytes(sizeBytes)} for ${formatCount(contextLength)} tokens`],
    ["", costOf(cache)],
    ["run", runCommand(cache, output)],
    ...(isOnEveryBackend(cache) ? [] : [["", "on CUDA in a build with GGML_CUDA_FA_ALL_QUANTS"] as [string, string]]),
  ];
}

/** Other pairs than these are computed on the CPU, unsaid and many times slower, where CUDA was built as it is by default. */
function isOnEveryBackend({ typeK, typeV }: NonNullable<CalibratedResult["cache"]>): boolean {
  return typeK === typeV && ["f16", "q8_0", "q4_0"].includes(typeK);
}

/** `llama-cli` with this cache; a quantized one needs flash attention. */
export function runCommand(
  { typeK, typeV, contextLength }: NonNullable<CalibratedResult["cache"]>,
  output: string,
): string {
  const command = `llama-cli -m ${shellQuote(output)} -c ${contextLength}`;
  return typeK === "f16" && typeV === "f16" ? command : `${command} -ctk ${typeK} -ctv ${typeV} -fa on`;
}

function costOf({ divergence }: NonNullable<CalibratedResult["cache"]>): string {
  const { mean, standardError, tokens, contextLength } = divergence;
  if (tokens === 0) return "as the original's, so it costs nothing";
  const cost = `${mean.toFixed(5)} ± ${standardError.toFixed(5)} nats per token more`;
  return `${cost}, measured on windows of ${formatCount(contextLength)} tokens`;
}
