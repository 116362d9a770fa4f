// What a mix of our own is called: files have a number for llama.cpp's presets, which people are shown.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { PRESETS, type Preset } from "../../passes/quantize/presets.js";

/** The type with the most bytes, and its preset, where llama.cpp has one. */
export function mixLabel(tensors: Iterable<{ type: GgmlType; sizeBytes: number }>): {
  type: GgmlType;
  preset: Preset | undefined;
} {
  const bytes = new Map<GgmlType, number>();
  for (const { type, sizeBytes } of tensors) bytes.set(type, (bytes.get(type) ?? 0) + sizeBytes);
  const [most] = [...bytes].sort(([, a], [, b]) => b - a)[0]!;
  return { type: most, preset: PRESETS.find(({ type, fileType }) => type === most && fileType !== undefined) };
}
