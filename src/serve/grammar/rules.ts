// GBNF, llama.cpp's notation for grammars, as text that is put together from pieces. A piece is an expression that may stand
// in a sequence; whoever needs it as one item wraps it in a group.

/** Named rules in the order in which they were defined. */
export class GrammarRules {
  readonly #rules = new Map<string, string>();

  /** Defines a rule, and again to the same effect. @returns its name, to be used as an expression */
  define(name: string, body: string): string {
    this.#rules.set(name, body);
    return name;
  }

  has(name: string): boolean {
    return this.#rules.has(name);
  }

  /** A name that no rule has yet, for a rule that is to be defined. */
  reserve(stem: string): string {
    const name = `${stem}-${this.#rules.size}`;
    this.#rules.set(name, "");
    return name;
  }

  /** The whole grammar. */
  text(): string {
    return [...this.#rules].map(([name, body]) => `${name} ::= ${body}\n`).join("");
  }
}

/** Exactly this text. */
export function literal(text: string): string {
  const escaped = Array.from(text, (character) => escapeCharacter(character, /["\\]/)).join("");
  return `"${escaped}"`;
}

/** One character of these ranges of code points, ends included. */
export function characterClass(ranges: readonly (readonly [number, number])[]): string {
  const write = (code: number): string => escapeCharacter(String.fromCodePoint(code), /[\]\\^-]/);
  return `[${ranges.map(([low, high]) => (low === high ? write(low) : `${write(low)}-${write(high)}`)).join("")}]`;
}

/** One of several expressions. */
export function alternatives(expressions: readonly string[]): string {
  const distinct = [...new Set(expressions)];
  return distinct.length === 1 ? distinct[0]! : `(${distinct.join(" | ")})`;
}

/** An expression from `least` to `most` times. */
export function repeated(expression: string, least: number, most: number): string {
  if (most === 0) return '""';
  if (least === 1 && most === 1) return expression;
  const count =
    most === Infinity
      ? (["*", "+"][least] ?? `{${least},}`)
      : least === 0 && most === 1
        ? "?"
        : least === most
          ? `{${least}}`
          : `{${least},${most}}`;
  return `(${expression})${count}`;
}

function escapeCharacter(character: string, special: RegExp): string {
  const code = character.codePointAt(0)!;
  if (special.test(character))
    return `\\${character}`.replace(/\\([-^])/, (_, c: string) => hexEscape(c.codePointAt(0)!));
  return code < 0x20 || code > 0x7e ? hexEscape(code) : character;
}

function hexEscape(code: number): string {
  if (code < 0x100) return `\\x${code.toString(16).toUpperCase().padStart(2, "0")}`;
  if (code < 0x10000) return `\\u${code.toString(16).toUpperCase().padStart(4, "0")}`;
  return `\\U${code.toString(16).toUpperCase().padStart(8, "0")}`;
}
