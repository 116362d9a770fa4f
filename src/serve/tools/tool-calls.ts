// Finds tool calls in an answer. Text that looks like the beginning of a call is held back while the answer grows; if it turns out
// to be none, it is shown as text.
import type { ToolCall, ToolFormat } from "./tool-format.js";

/** Separates an answer's text from its calls while it grows. */
export class ToolCallWatcher {
  readonly #format: ToolFormat;
  readonly #names: ReadonlySet<string>;
  #text = "";
  #shown = 0;
  #begunAt: number | undefined;

  /** @param names functions that there are; a call of another is text */
  constructor(format: ToolFormat, names: Iterable<string>) {
    this.#format = format;
    this.#names = new Set(names);
  }

  /** @returns text that can be shown now */
  push(text: string): string {
    this.#text += text;
    this.#begunAt ??= this.#beginning();
    const safe = this.#begunAt ?? this.#text.length - this.#held();
    const shown = this.#text.slice(this.#shown, safe);
    this.#shown = Math.max(this.#shown, safe);
    return shown;
  }

  /** No text follows. @returns the calls, or the text that was held back for nothing */
  end(): { text: string; calls: ToolCall[] } {
    const rest = this.#text.slice(this.#shown);
    const calls = this.#begunAt === undefined ? [] : parseToolCalls(rest);
    const areKnown = calls.length > 0 && calls.every(({ name }) => this.#names.has(name));
    return areKnown ? { text: "", calls } : { text: rest, calls: [] };
  }

  #beginning(): number | undefined {
    const { begins, onlyAtStart } = this.#format;
    const start = this.#text.length - this.#text.trimStart().length;
    const found = begins.map((begin) =>
      onlyAtStart ? (this.#text.startsWith(begin, start) ? start : -1) : this.#text.indexOf(begin),
    );
    const first = Math.min(...found.filter((at) => at >= 0));
    return Number.isFinite(first) ? first : undefined;
  }

  /** Characters at the end that may yet turn out to begin a call. */
  #held(): number {
    const { begins, onlyAtStart } = this.#format;
    if (onlyAtStart) {
      const text = this.#text.trimStart();
      return begins.some((begin) => begin.startsWith(text)) ? this.#text.length - this.#shown : 0;
    }
    const isBegun = (length: number): boolean => begins.some((begin) => begin.startsWith(this.#text.slice(-length)));
    let length = Math.min(this.#text.length, Math.max(...begins.map((begin) => begin.length)) - 1);
    while (length > 0 && !isBegun(length)) length--;
    return length;
  }
}

/** Calls in any of the forms that are known; empty where the text is none. */
export function parseToolCalls(text: string): ToolCall[] {
  const tagged = [...text.matchAll(/<tool_call>(?!\s*\[)([\s\S]*?)(?:<\/tool_call>|$)/g)].map((match) => match[1]!);
  if (tagged.length > 0) return tagged.flatMap((body) => callsOf(parseJson(body)) ?? taggedCall(body) ?? []);
  const named = [
    ...text.matchAll(/\[TOOL_CALLS\]\s*([\w.-]+)\s*(?:\[ARGS\])?\s*(\{[\s\S]*?\})(?=\s*(?:\[TOOL_CALLS\]|$))/g),
  ];
  if (named.length > 0)
    return named.flatMap((match) => callsOf({ name: match[1], arguments: parseJson(match[2]!) }) ?? []);
  const bare = text
    .replace(/^\s*(?:\[TOOL_CALLS\]|<\|tool_call\|>|<tool_call>|functools|<\|python_tag\|>)/, "")
    .replace(/<\/?\|?\/?tool_call\|?>\s*$/, "");
  const whole = callsOf(parseJson(bare));
  return whole ?? bare.split(/;\s*(?=\{)/).flatMap((one) => callsOf(parseJson(one)) ?? []);
}

/** One call or several, with arguments under either key. */
function callsOf(value: unknown): ToolCall[] | undefined {
  if (Array.isArray(value)) {
    const calls = value.map((one) => callsOf(one));
    return calls.length > 0 && calls.every((one) => one !== undefined) ? calls.flat() : undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { name, arguments: given, parameters } = value as Record<string, unknown>;
  const written = given ?? parameters ?? {};
  const parsed = typeof written === "string" ? parseJson(written) : written;
  if (typeof name !== "string" || typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    return undefined;
  return [{ name, arguments: parsed as Record<string, unknown> }];
}

/** `<function=name><parameter=key>value</parameter></function>` */
function taggedCall(body: string): ToolCall[] | undefined {
  const name = /<function=([^>\s]+)>/.exec(body)?.[1];
  if (name === undefined) return undefined;
  const parameters = [...body.matchAll(/<parameter=([^>\s]+)>\n?([\s\S]*?)\n?<\/parameter>/g)];
  return [
    { name, arguments: Object.fromEntries(parameters.map(([, key, value]) => [key!, parseJson(value!) ?? value])) },
  ];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text.trim());
  } catch {
    return undefined;
  }
}
