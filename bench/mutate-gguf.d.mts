/** See `mutate-gguf.mjs`. */
export function mutateGguf(
  original: Uint8Array,
  random: { next(): number; integer(below: number): number },
  layout: { headerBytes: number; fields: readonly number[] },
): { kind: string; bytes: Uint8Array };
