// A mix as patterns that people can read: tensors of one kind and type in one line, whatever their layers.
import type { GgmlType } from "../../formats/gguf/ggml-types.js";

/** A pattern of names, anchored at both ends, and the type of what it matches. */
export interface GroupedType {
  pattern: string;
  type: GgmlType;
}

/**
 * Patterns that match each of the names, no other name of the list, and each but once.
 *
 * @example
 * groupTypes([{ name: "blk.0.attn_v.weight", type: "q6_K" }, { name: "blk.1.attn_v.weight", type: "q5_K" }]);
 * // [{ pattern: "^blk\\.0\\.attn_v\\.weight$", type: "q6_K" }, { pattern: "^blk\\.1\\.attn_v\\.weight$", type: "q5_K" }]
 */
export function groupTypes(tensors: readonly { name: string; type: GgmlType }[]): GroupedType[] {
  const kinds = new Map<string, Map<GgmlType, number[]>>();
  const patterns: GroupedType[] = [];
  for (const { name, type } of tensors) {
    const [, layer, kind] = /^blk\.(\d+)\.(.+)$/.exec(name) ?? [];
    if (kind === undefined || String(Number(layer)) !== layer) {
      patterns.push({ pattern: `^${escaped(name)}$`, type });
      continue;
    }
    const types = kinds.get(kind) ?? new Map<GgmlType, number[]>();
    kinds.set(kind, types.set(type, [...(types.get(type) ?? []), Number(layer)]));
  }
  for (const [kind, types] of kinds) {
    for (const [type, layers] of types) {
      patterns.push({ pattern: String.raw`^blk\.${layersPattern(layers, types.size)}\.${escaped(kind)}$`, type });
    }
  }
  return patterns;
}

/** All layers where they agree, else those meant. */
function layersPattern(layers: readonly number[], typesCount: number): string {
  if (typesCount === 1) return String.raw`\d+`;
  return layers.length === 1 ? String(layers[0]) : `(${[...layers].sort((a, b) => a - b).join("|")})`;
}

function escaped(name: string): string {
  return name.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}
