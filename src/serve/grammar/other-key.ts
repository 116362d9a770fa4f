// A key that is none of those that have a schema of their own. Escapes are left out, as they could spell one of them.
import { characterClass, literal } from "./rules.js";

const PLAIN = [[0x20, 0x21], [0x23, 0x5b], [0x5d, 0x7e], [0x80, 0xd7ff], [0xe000, 0x10ffff]] as const; // prettier-ignore

interface Node {
  next: Map<string, Node>;
  isKey: boolean;
}

/** A quoted key of characters that need no escape, and that differs from all of `keys`. */
export function otherKey(keys: readonly string[]): string {
  const root: Node = { next: new Map(), isKey: false };
  for (const key of keys) insert(root, key);
  return `"\\"" ${restOf(root)} "\\""`;
}

function insert(root: Node, key: string): void {
  let node = root;
  for (const character of key) {
    const next = node.next.get(character) ?? { next: new Map(), isKey: false };
    node.next.set(character, next);
    node = next;
  }
  node.isKey = true;
}

/** What may follow: another character than all keys go on with and then anything, or on along a key; an end where none ends. */
function restOf(node: Node): string {
  const any = `${characterClass(PLAIN)}*`;
  const options = [`${characterClass(without([...node.next.keys()]))} ${any}`];
  for (const [character, next] of node.next) {
    if (isPlain(character)) options.push(`${literal(character)} ${restOf(next)}`);
  }
  return `(${options.join(" | ")})${node.isKey ? "" : "?"}`;
}

function isPlain(character: string): boolean {
  const code = character.codePointAt(0)!;
  return PLAIN.some(([low, high]) => low <= code && code <= high);
}

function without(characters: readonly string[]): [number, number][] {
  const codes = characters.map((character) => character.codePointAt(0)!).sort((a, b) => a - b);
  return PLAIN.flatMap(([low, high]) => {
    const ranges: [number, number][] = [];
    let from: number = low;
    for (const code of codes.filter((one) => low <= one && one <= high)) {
      if (code > from) ranges.push([from, code - 1]);
      from = code + 1;
    }
    if (from <= high) ranges.push([from, high]);
    return ranges;
  });
}
