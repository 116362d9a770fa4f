// A regular expression of a JSON Schema as an expression over the characters of a JSON string. What a grammar can't say (looking
// ahead or back, back references, anchors in the middle) is refused.
import { alternatives, characterClass, literal, repeated } from "./rules.js";
import { UnsupportedSchema } from "./unsupported-schema.js";

type Range = readonly [low: number, high: number];

const CODE_MAX = 0x10ffff;
const DIGITS: Range[] = [[0x30, 0x39]];
const WORD: Range[] = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]]; // prettier-ignore
const SPACE: Range[] = [[9, 13], [32, 32], [0xa0, 0xa0], [0x1680, 0x1680], [0x2000, 0x200a], [0x2028, 0x2029], [0x202f, 0x202f], [0x205f, 0x205f], [0x3000, 0x3000], [0xfeff, 0xfeff]]; // prettier-ignore
const LINE_ENDS: Range[] = [
  [10, 10],
  [13, 13],
  [0x2028, 0x2029],
];
const CLASSES: Record<string, Range[]> = {
  d: DIGITS,
  w: WORD,
  s: SPACE,
  D: complement(DIGITS),
  W: complement(WORD),
  S: complement(SPACE),
};
const CONTROL_ESCAPES: Record<string, number> = { n: 10, r: 13, t: 9, f: 12, v: 11, "0": 0 };
const REPETITIONS_MAX = 1000; // llama.cpp refuses grammars with many more

/**
 * Turns a pattern into GBNF.
 *
 * @param pointer where it stands in its schema
 * @throws {UnsupportedSchema} when it is no regular expression, or one that a grammar can't say
 */
export function patternExpression(pattern: string, pointer: string): string {
  const refuse = (reason: string): never => {
    throw new UnsupportedSchema(pointer, `has a pattern /${pattern}/ ${reason}`);
  };
  try {
    void new RegExp(pattern, "u");
  } catch {
    refuse("that is no regular expression");
  }
  const startsAnchored = pattern.startsWith("^");
  const endsAnchored = /(?<!\\)(?:\\\\)*\$$/.test(pattern);
  const inner = pattern.slice(startsAnchored ? 1 : 0, endsAnchored ? -1 : undefined);
  const parser = new PatternParser(inner, refuse);
  if ((startsAnchored || endsAnchored) && parser.hasTopLevelChoice())
    refuse("with an anchor for one of its choices only");
  const body = parser.parse();
  const anything = repeated(oneOf(complement([])), 0, Infinity);
  return [startsAnchored ? "" : anything, body, endsAnchored ? "" : anything].filter(Boolean).join(" ");
}

class PatternParser {
  readonly #characters: string[];
  readonly #refuse: (reason: string) => never;
  #at = 0;

  constructor(pattern: string, refuse: (reason: string) => never) {
    this.#characters = Array.from(pattern);
    this.#refuse = refuse;
  }

  hasTopLevelChoice(): boolean {
    let depth = 0;
    let inClass = false;
    for (let i = 0; i < this.#characters.length; i++) {
      const character = this.#characters[i];
      if (character === "\\") i++;
      else if (inClass) inClass = character !== "]";
      else if (character === "[") inClass = true;
      else if (character === "(") depth++;
      else if (character === ")") depth--;
      else if (character === "|" && depth === 0) return true;
    }
    return false;
  }

  parse(): string {
    const expression = this.#choice();
    if (this.#at < this.#characters.length) this.#refuse("that a grammar can't say");
    return expression;
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #choice(): string {
    const options = [this.#sequence()];
    while (this.#peek() === "|") {
      this.#at++;
      options.push(this.#sequence());
    }
    return alternatives(options);
  }

  #sequence(): string {
    const items: string[] = [];
    for (let next = this.#peek(); next !== undefined && next !== "|" && next !== ")"; next = this.#peek()) {
      items.push(this.#quantified(this.#atom()));
    }
    return items.length === 0 ? '""' : items.join(" ");
  }

  #quantified(atom: string): string {
    const rest = this.#characters.slice(this.#at, this.#at + 16).join("");
    const found = /^(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})\??/.exec(rest);
    if (!found) return atom;
    this.#at += Array.from(found[0]).length;
    const [text, low, comma, high] = found;
    if (low === undefined) {
      if (text.startsWith("?")) return repeated(atom, 0, 1);
      return repeated(atom, text.startsWith("+") ? 1 : 0, Infinity);
    }
    const least = Number(low);
    const most = comma === undefined ? least : high ? Number(high) : Infinity;
    if (least > REPETITIONS_MAX) this.#refuse(`with more than ${REPETITIONS_MAX} repetitions`);
    return repeated(atom, least, most === Infinity ? most : Math.min(most, REPETITIONS_MAX));
  }

  #atom(): string {
    const character = this.#characters[this.#at++]!;
    if (character === "(") return this.#group();
    if (character === "[") return oneOf(this.#class());
    if (character === ".") return oneOf(complement(LINE_ENDS));
    if (character === "^" || character === "$") return this.#refuse("with an anchor in its middle");
    if (character === "\\") return oneOf(this.#escape());
    const code = character.codePointAt(0)!;
    return oneOf([[code, code]]);
  }

  #group(): string {
    if (this.#peek() === "?") {
      if (this.#characters[this.#at + 1] !== ":") this.#refuse("that looks ahead or back, or names a group");
      this.#at += 2;
    }
    const inner = this.#choice();
    this.#at++; // the closing parenthesis, which RegExp has checked
    return `(${inner})`;
  }

  /** Behind a backslash. @returns ranges of what it stands for */
  #escape(): Range[] {
    const character = this.#characters[this.#at++]!;
    if (CLASSES[character]) return CLASSES[character];
    const code = CONTROL_ESCAPES[character] ?? this.#numericEscape(character) ?? character.codePointAt(0)!;
    const isLetter = /[A-Za-z1-9]/.test(character) && !/[nrtfvxu]/.test(character);
    if (isLetter) this.#refuse(`with \\${character}`);
    return [[code, code]];
  }

  #numericEscape(character: string): number | undefined {
    const rest = this.#characters.slice(this.#at, this.#at + 10).join("");
    const pattern =
      character === "x" ? /^([0-9a-f]{2})/i : character === "u" ? /^(?:([0-9a-f]{4})|\{([0-9a-f]+)\})/i : undefined;
    const found = pattern?.exec(rest);
    if (!found) return undefined;
    this.#at += found[0].length;
    return parseInt(found[1] ?? found[2]!, 16);
  }

  #class(): Range[] {
    const isNegated = this.#peek() === "^";
    if (isNegated) this.#at++;
    const ranges: Range[] = [];
    while (this.#peek() !== "]") {
      const low = this.#classItem();
      const isRange = this.#peek() === "-" && this.#characters[this.#at + 1] !== "]";
      if (!isRange) {
        ranges.push(...low);
        continue;
      }
      this.#at++;
      const high = this.#classItem();
      ranges.push([low[0]![0], high[0]![1]]);
    }
    this.#at++;
    return isNegated ? complement(ranges) : ranges;
  }

  #classItem(): Range[] {
    const character = this.#characters[this.#at++]!;
    if (character === "\\") {
      if (this.#peek() === "b") return this.#refuse("with a backspace");
      return this.#escape();
    }
    const code = character.codePointAt(0)!;
    return [[code, code]];
  }
}

/** All code points but these. */
function complement(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => a[0] - b[0]);
  const result: Range[] = [];
  let next = 0;
  for (const [low, high] of sorted) {
    if (low > next) result.push([next, low - 1]);
    next = Math.max(next, high + 1);
  }
  if (next <= CODE_MAX) result.push([next, CODE_MAX]);
  return result;
}

// What a JSON string may hold as it is: no control characters, no surrogates, and neither quote nor backslash.
const PLAIN: Range[] = [[0x20, 0x21], [0x23, 0x5b], [0x5d, 0x7e], [0x80, 0xd7ff], [0xe000, CODE_MAX]]; // prettier-ignore
const ESCAPED: [code: number, text: string][] = [[0x22, '\\"'], [0x5c, "\\\\"], [0x0a, "\\n"], [0x09, "\\t"], [0x0d, "\\r"]]; // prettier-ignore

/** One character of these ranges as JSON writes it. */
function oneOf(ranges: readonly Range[]): string {
  const plain = ranges.flatMap(([low, high]) =>
    PLAIN.map(([from, to]) => [Math.max(low, from), Math.min(high, to)] as const).filter(([from, to]) => from <= to),
  );
  const escaped = ESCAPED.filter(([code]) => ranges.some(([low, high]) => low <= code && code <= high));
  const options = escaped.map(([, text]) => literal(text));
  if (plain.length > 0) options.unshift(characterClass(plain));
  // What only control characters could match is written as an escape that JSON has for all of them.
  if (options.length === 0)
    options.push(...ranges.slice(0, 1).map(([low]) => literal(`\\u${low.toString(16).padStart(4, "0")}`)));
  return alternatives(options);
}
