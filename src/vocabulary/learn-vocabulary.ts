// Learns a vocabulary from text and writes it as a GGUF file, which `train` takes for a new model.
import { PareError, UsageError } from "../errors.js";
import { ChatTemplate } from "../evaluate/chat-template.js";
import { writeGguf } from "../formats/gguf/write.js";
import { refuseReplacing } from "../support/files.js";
import type { RunOptions } from "../support/progress.js";
import { readText } from "../support/read-text.js";
import { type Example, readExamples } from "../train/examples.js";
import { BYTE_CHARACTERS } from "./byte-alphabet.js";
import { BytePairEncoder, type BytePairVocabulary } from "./byte-pair-encoder.js";
import { learnMerges } from "./learn-merges.js";
import { vocabularyMetadata } from "./vocabulary-metadata.js";
import { splitWords } from "./words.js";

/** What `learnVocabulary` is asked for. */
export interface VocabularyRequest {
  /** Files to learn from, as `train` reads them: `.jsonl` examples, anything else as plain text. */
  texts: readonly string[];
  /** GGUF file to write. */
  output: string;
  /** Tokens wanted, of which 256 are the bytes. */
  size: number;
  /** Text of the token that ends a document or a turn; `<|end|>` by default. */
  end?: string | undefined;
  /** Texts of further control tokens, such as those of a chat template. */
  special?: readonly string[] | undefined;
  /** File with a chat template in Jinja. */
  chatTemplate?: string | undefined;
}

/** What was learned. */
export interface VocabularyResult {
  output: string;
  sizeBytes: number;
  sha256: string;
  /** All tokens: fewer than wanted where the text has no more pairs that occur twice. */
  tokens: number;
  merges: number;
  /** Texts of the control tokens by id, the end first. */
  control: { id: number; text: string }[];
  /** Of the text that it was learned from. */
  bytes: number;
  bytesPerToken: number;
  seconds: number;
}

const END = "<|end|>";
const SIZE_MAX = 2 ** 20;

/**
 * Learns a byte-level byte-pair vocabulary. The same text gives the same file. llama.cpp tokenizes with it exactly as
 * `BytePairEncoder` does.
 *
 * @throws {UsageError} when the request can't be meant
 * @throws {FormatError} when a file can't be read as text or as examples
 * @example
 * await learnVocabulary({ texts: ["mails.jsonl"], size: 4096, output: "vocabulary.gguf" });
 */
export async function learnVocabulary(request: VocabularyRequest, options: RunOptions = {}): Promise<VocabularyResult> {
  const started = performance.now();
  const { output, texts, size, end = END, special = [], chatTemplate } = request;
  const control = [end, ...special];
  checkRequest(texts, size, control);
  await refuseReplacing(output, [...texts, ...(chatTemplate === undefined ? [] : [chatTemplate])]);
  const template = chatTemplate === undefined ? undefined : await readTemplate(chatTemplate, end);
  const words = countWords((await readExamples(texts, options.signal)).flatMap(textsOf));
  const vocabulary = learn(words, size, control, options);
  const metadata = vocabularyMetadata(vocabulary, vocabulary.control[0]!, template);
  const file = await writeGguf(output, { metadata, tensors: [] }, options);
  return {
    output,
    ...file,
    tokens: vocabulary.tokens.length,
    merges: vocabulary.merges.length,
    control: vocabulary.control.map((id) => ({ id, text: vocabulary.tokens[id]! })),
    ...density(words, vocabulary),
    seconds: (performance.now() - started) / 1000,
  };
}

function checkRequest(texts: readonly string[], size: number, control: readonly string[]): void {
  if (texts.length === 0) throw new UsageError("No text to learn from is given", { hint: "Name one or more files" });
  const least = BYTE_CHARACTERS.length + control.length;
  if (!(Number.isInteger(size) && size >= least && size <= SIZE_MAX))
    throw new UsageError(`A vocabulary of ${size} tokens can't be: ${least} to ${SIZE_MAX} are wanted`, {
      hint: `256 are the bytes, ${control.length} are control tokens`,
    });
  for (const [i, text] of control.entries()) {
    if (text === "") throw new UsageError("A control token needs a text");
    if (control.indexOf(text) < i) throw new UsageError(`Control token "${text}" is named twice`);
    if (BYTE_CHARACTERS.includes(text)) throw new UsageError(`Control token "${text}" is the name of a byte`);
  }
}

async function readTemplate(path: string, end: string): Promise<string> {
  const source = (await readText(path)).trimEnd();
  if (source === "") throw new PareError(`The chat template "${path}" is empty`);
  void new ChatTemplate(source, { bosText: end, eosText: end, modelPath: path });
  return source;
}

/** All that is said in an example; what a template puts around it are control tokens. */
function textsOf(example: Example): string[] {
  if ("text" in example) return [example.text];
  if ("prompt" in example) return [example.prompt, example.completion];
  return example.messages.map(({ content }) => content);
}

function countWords(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) for (const word of splitWords(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

function learn(
  words: ReadonlyMap<string, number>,
  size: number,
  control: readonly string[],
  { signal, onProgress }: RunOptions,
): BytePairVocabulary {
  const total = size - control.length;
  const { tokens, pairs } = learnMerges(words, {
    size: total,
    reserved: new Set(control),
    onProgress: (done) => {
      signal?.throwIfAborted();
      onProgress?.({ stage: "learning", done, total, unit: "tokens" });
    },
  });
  return { tokens: [...tokens, ...control], merges: pairs, control: control.map((_, i) => tokens.length + i) };
}

function density(words: ReadonlyMap<string, number>, vocabulary: BytePairVocabulary) {
  const encoder = new BytePairEncoder(vocabulary);
  let bytes = 0;
  let tokens = 0;
  for (const [word, count] of words) {
    bytes += count * Buffer.byteLength(word);
    tokens += count * encoder.encode(word).length;
  }
  return { bytes, bytesPerToken: bytes / tokens };
}
