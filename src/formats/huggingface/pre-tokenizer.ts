// Which of llama.cpp's pre-tokenizers splits text as a `tokenizer.json` does. llama.cpp has each as code and knows it by a
// name; its own converter finds the name by tokenizing a text with Hugging Face's library and looking the result's hash up.
// Here the description itself is compared, so that a vocabulary of one's own, too, gets the right name.
import type { JsonObject } from "./json-file.js";
import { type TokenizerJson, stepsOf } from "./tokenizer-json.js";

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
const LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
const WHITESPACE = "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const GPT2 = "gpt2";
const DIGITS = "digits";

/** GPT-4's words, with numbers of so many digits at once. */
const words = (digits: string) =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${WHITESPACE}`;
/** GPT-4o's words, which begin anew where lower case turns to upper. */
const casedWords = (contractions: string, digits: string) =>
  `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+${contractions}|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*${contractions}|` +
  `${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${WHITESPACE}`;

interface Known {
  name: string;
  steps: readonly string[];
  /** What tells two apart that split alike. */
  when?: (tokenizer: TokenizerJson) => boolean;
  /** True where llama.cpp adds BOS unless it is told not to. */
  addsBos?: boolean;
}

const KNOWN: readonly Known[] = [
  { name: "llama-bpe", steps: [words("\\p{N}{1,3}")], when: (tokenizer) => tokenizer.ignoresMerges, addsBos: true },
  { name: "dbrx", steps: [words("\\p{N}{1,3}")] },
  { name: "qwen2", steps: [words("\\p{N}")] },
  {
    name: "qwen35",
    steps: [
      `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|${WHITESPACE}`,
    ],
  },
  { name: "tekken", steps: [casedWords("", "\\p{N}")], addsBos: true },
  { name: "gpt-4o", steps: [casedWords(`${CONTRACTIONS}?`, "\\p{N}{1,3}")] },
  { name: "olmo", steps: [GPT2], when: ({ normalizer }) => normalizer?.["type"] === "NFC" },
  { name: "gpt-2", steps: [GPT2] },
  { name: "smollm", steps: [DIGITS, GPT2] },
  {
    name: "deepseek-coder",
    steps: ["[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", DIGITS],
  },
];

/** A pre-tokenizer of llama.cpp's. */
export type PreTokenizer = Pick<Known, "name" | "addsBos">;

/** The pre-tokenizer that splits as this tokenizer does, or undefined when llama.cpp has none that is known here. */
export function preTokenizerOf(tokenizer: TokenizerJson): PreTokenizer | undefined {
  const steps = stepsOf(tokenizer.preTokenizer).map(spelled);
  const found = steps.filter((step) => step !== "").join("\0");
  return KNOWN.find(({ steps, when }) => steps.join("\0") === found && (!when || when(tokenizer)));
}

/** The names that are known here. */
export const PRE_TOKENIZERS: readonly string[] = KNOWN.map(({ name }) => name);

/**
 * The steps that split as llama.cpp's pre-tokenizer of this name does, as `tokenizer.json` has them; undefined when the name
 * is not known here.
 */
export function describePreTokenizer(name: string): JsonObject | undefined {
  const known = KNOWN.find((one) => one.name === name);
  if (!known) return undefined;
  const steps = known.steps.map(stepOf);
  const hasBytes = known.steps.at(-1) === GPT2;
  return { type: "Sequence", pretokenizers: hasBytes ? steps : [...steps, { ...BYTES, use_regex: false }] };
}

const BYTES = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };

/** `spelled`, the other way. */
function stepOf(text: string): JsonObject {
  if (text === GPT2) return BYTES;
  if (text === DIGITS) return { type: "Digits", individual_digits: true };
  return { type: "Split", pattern: { Regex: text }, behavior: "Isolated", invert: false };
}

/** One step as text: a regular expression that isolates what it matches, or a name. */
function spelled(step: JsonObject): string {
  const { type, pattern, behavior, invert } = step;
  if (type === "Split" && behavior === "Isolated" && invert !== true) {
    const { Regex: regex } = (pattern ?? {}) as JsonObject;
    if (typeof regex === "string") return regex;
  }
  if (type === "Digits" && step["individual_digits"] === true) return DIGITS;
  if (type === "ByteLevel" && step["add_prefix_space"] !== true) return step["use_regex"] === false ? "" : GPT2;
  return JSON.stringify(step);
}
