// What a model's name says of it: base name, size, version, what it was tuned for. The rules are those of gguf-py, so that
// a file is called as llama.cpp's converter would call it. `Qwen2.5-0.5B-Instruct` is Qwen2.5, 0.5B, Instruct.

/** Parts of a name; what can't be told is absent. */
export interface NameParts {
  readonly organization?: string | undefined;
  readonly name?: string | undefined;
  readonly basename?: string | undefined;
  readonly finetune?: string | undefined;
  readonly version?: string | undefined;
  readonly sizeLabel?: string | undefined;
}

type Kind = "basename" | "size" | "finetune" | "version" | "type";

interface Part {
  text: string;
  kinds: Set<Kind>;
}

/**
 * Reads `organization/name` or a name alone.
 *
 * @param parameters of the model: a size that is far from it is no size
 */
export function nameParts(id: string, parameters: number): NameParts {
  if (id.includes(" ")) return { name: titled(id) };
  const slash = id.indexOf("/");
  const organization = slash > 0 && !id.startsWith(".") ? id.slice(0, slash) : undefined;
  const name = id.slice(slash + 1);
  const parts = name.split("-").flatMap((text, index) => (text === "" ? [] : [classified(text, index, parameters)]));
  dropSizesInWords(parts);
  markBasename(parts);
  const joined = (kind: Kind, without?: Kind) => {
    const chosen = parts.filter(({ kinds }) => kinds.has(kind) && !(without && kinds.has(without)));
    const texts = chosen.map(({ text }) => text);
    return (kind === "size" ? [...new Set(texts)] : texts).join("-") || undefined;
  };
  const [sizeLabel, finetune, version] = [joined("size"), joined("finetune"), joined("version", "basename")];
  const isClear = sizeLabel !== undefined || finetune !== undefined || version !== undefined;
  return {
    organization: organization && titled(organization),
    name: titled(name),
    basename: isClear ? joined("basename") : undefined,
    finetune,
    version,
    sizeLabel,
  };
}

/** `tiny-llama v2` is `Tiny Llama v2`. */
function titled(text: string): string {
  const words = text.trim().replaceAll("-", " ").split(/\s+/);
  return words.map((word) => (isPlainWord(word) ? capitalized(word) : word)).join(" ");
}

function isPlainWord(word: string): boolean {
  return word === word.toLowerCase() && /[a-z]/.test(word) && !/^(v\d+(\.\d+)*|\d.*)$/.test(word);
}

/** As Python's `title()`: a letter after anything that is none is a capital. */
function capitalized(word: string): string {
  return word.replaceAll(/[a-z]+/g, (letters) => letters[0]!.toUpperCase() + letters.slice(1));
}

function classified(text: string, index: number, parameters: number): Part {
  const kinds = new Set<Kind>();
  if (/^(v|iter)?\d+(\.\d+)*$/i.test(text)) return { text, kinds: kinds.add("version") };
  if (/^(i?q\d(_\w)*|b?fp?(16|32))$/i.test(text)) return { text: text.toUpperCase(), kinds: kinds.add("type") };
  if (index === 0) return { text, kinds };
  if (/^((A|\d+x)?\d+([._]\d+)?[KMBT]\d?|small|mini|medium|large|x?xl)$/i.test(text)) return sized(text, parameters);
  if (/^(chat|instruct|vision|lora)$/i.test(text)) kinds.add("finetune");
  return { text, kinds };
}

/** `7b1` is 7.1B; what is far from the model's own size is a length of context. */
function sized(given: string, parameters: number): Part {
  let text = given.replaceAll("_", ".");
  if (/\d$/.test(text)) text = `${text.slice(0, -2)}.${text.at(-1)}${text.at(-2)}`;
  if (/\d[kmbt]$/.test(text)) text = text.slice(0, -1) + text.at(-1)!.toUpperCase();
  const scale = " KMBT".indexOf(text.at(-1)!);
  const size = Number(text.slice(0, -1)) * 1000 ** scale;
  if (parameters > 0 && Math.abs(size - parameters) > Math.floor((7 * parameters) / 8)) {
    return { text: text.slice(0, -1) + text.at(-1)!.toLowerCase(), kinds: new Set(["finetune"]) };
  }
  return { text, kinds: new Set(["size"]) };
}

/** `large` is no size beside `7B`. */
function dropSizesInWords(parts: readonly Part[]): void {
  const sizes = parts.filter(({ kinds }) => kinds.has("size"));
  if (!sizes.some(({ text }) => /\d/.test(text))) return;
  for (const { text, kinds } of sizes) if (/^[a-z]+$/i.test(text)) kinds.delete("size");
}

/** The base name is what comes first; the rest that has no other meaning says what the model was tuned for. */
function markBasename(parts: readonly Part[]): void {
  let isStart = true;
  for (const { text, kinds } of parts) {
    if (isStart && ((kinds.size === 0 && /^\p{L}/u.test(text)) || kinds.has("version"))) {
      kinds.add("basename");
    } else {
      isStart = false;
      if (kinds.size === 0) kinds.add("finetune");
    }
  }
  for (const { kinds } of parts.toReversed()) {
    if (!kinds.has("basename") || kinds.size === 1) break;
    kinds.delete("basename");
  }
}
