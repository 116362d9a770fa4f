// Answers of an endpoint as taught text, in the student's tokens. Where the student has every token that the endpoint ever
// named, they have one vocabulary, and answers are learned in the tokens in which they were written. Where not, an answer's
// text is tokenized anew, and what was expected is taken over if that gives the same tokens. Of the others only the text is
// learned.
import type { Sequence } from "../../graph/token-batch.js";
import { loadEngine } from "../../native/engine.js";
import type { JobContext } from "../../native/isolate.js";
import { LlamaModel } from "../../native/llama-model.js";
import { tokenizeExamples } from "../../train/documents.js";
import type { Example } from "../../train/examples.js";
import { packSequences, requireSequence } from "../../train/pack.js";
import type { Answer, AnswerToken } from "./ask-endpoint.js";
import { emptyOpinions } from "./form-opinions.js";
import { type Opinions, type TaughtFile, TaughtTextWriter, describeTaught } from "./taught-text.js";

export interface AnswersInput {
  /** GGUF file of the student, for its vocabulary. */
  student: string;
  examples: readonly Example[];
  answers: readonly Answer[];
  /** Share of the examples, from the end, that is kept for validation. */
  validationShare: number;
  identity: string;
  length: number;
  top: number;
  /** Paths of the files to write. */
  outputs: Record<"train" | "validation", string>;
}

export interface AnswersOutput {
  files: TaughtFile[];
  /** Answers whose tokens were the student's. */
  shared: number;
}

/** A document with what was expected at each of its tokens; undefined where nothing is known or nothing asked. */
interface Document {
  tokens: Int32Array;
  counts: Uint8Array;
  expected: (Expectation | undefined)[];
}

type Expectation = Map<number, number>;

/** Runs in a child process. */
export async function run(input: AnswersInput, _context: JobContext): Promise<AnswersOutput> {
  using student = LlamaModel.load(loadEngine(), input.student, { vocabOnly: true });
  const reader = new AnswerReader(student, input.answers);
  const documents = input.examples.map((example, i) => reader.read(example, input.answers[i]!));
  const kept = Math.round(documents.length * input.validationShare);
  const parts = {
    train: documents.slice(0, documents.length - kept),
    validation: documents.slice(documents.length - kept),
  };
  requireSequence(parts.train, input.length);
  const files: TaughtFile[] = [];
  for (const use of ["train", "validation"] as const)
    if (parts[use].length > 0) files.push(await write(use, parts[use], student.vocabularySize, input));
  return { files, shared: reader.shared };
}

/** Reads answers in a vocabulary. */
class AnswerReader {
  /** Answers whose tokens were the vocabulary's. */
  shared = 0;
  readonly #student: LlamaModel;
  readonly #tokenOf = new Map<string, number>();
  readonly #isOneVocabulary: boolean;

  constructor(student: LlamaModel, answers: readonly Answer[]) {
    this.#student = student;
    for (let token = student.vocabularySize - 1; token >= 0; token--) this.#tokenOf.set(this.#hexOf(token), token);
    const named = answers.flatMap(({ tokens }) =>
      tokens.flatMap(({ bytes, top }) => [bytes, ...top.map((one) => one.bytes)]),
    );
    this.#isOneVocabulary = named.every((bytes) => isUnclear(bytes) || this.#tokenOf.has(bytes));
  }

  read(example: Example, answer: Answer): Document {
    const [document] = tokenizeExamples(this.#student, [answered(example, answer.text)]);
    const first = document!.counts.indexOf(1);
    const anew = [...document!.tokens.subarray(first)];
    const known = answer.tokens.map(({ bytes }) => this.#tokenOf.get(bytes) ?? -1);
    const isSame = known.every((token, i) => token === anew[i]);
    const isTold = known.length > 0 || answer.text === "";
    const isShared = isTold && (isSame || (this.#isOneVocabulary && !known.includes(-1)));
    if (isShared) this.shared++;
    const end = anew.slice(-1);
    const written = isShared && !isSame ? [...known, ...end] : anew;
    if (!answer.isWhole) written.pop(); // it was cut, and did not end there
    const given = [...document!.tokens.subarray(0, first)];
    const expected = written.map((_, i) =>
      isShared && i < known.length ? this.#expectation(answer.tokens[i]!) : undefined,
    );
    return {
      tokens: Int32Array.from([...given, ...written]),
      counts: Uint8Array.from([...given.map(() => 0), ...written.map(() => 1)]),
      expected: [...given.map(() => undefined), ...expected],
    };
  }

  #expectation({ top }: AnswerToken): Expectation {
    const known = top.flatMap(({ bytes, logProbability }) => {
      const token = isUnclear(bytes) ? undefined : this.#tokenOf.get(bytes);
      return token === undefined ? [] : [[token, Math.exp(logProbability)] as const];
    });
    return new Map(known);
  }

  #hexOf(token: number): string {
    return Buffer.from(this.#student.tokenBytes(token)).toString("hex");
  }
}

/** Bytes of no text: a control token's, or a part of a character that came as U+FFFD. */
function isUnclear(bytes: string): boolean {
  return bytes === "" || bytes.includes("efbfbd");
}

function answered(example: Example, text: string): Example {
  if ("prompt" in example) return { prompt: example.prompt, completion: text };
  if (!("messages" in example)) return { text };
  const until = example.messages.findIndex(({ role }) => role === "assistant");
  return { messages: [...example.messages.slice(0, until), { role: "assistant", content: text }] };
}

/** Packs by numbers of tokens in place of the tokens, so that what was expected of each is found again. */
async function write(
  use: "train" | "validation",
  documents: readonly Document[],
  vocabulary: number,
  { length, top, identity, outputs }: AnswersInput,
): Promise<TaughtFile> {
  const tokens = documents.flatMap((document) => [...document.tokens]);
  const expected = documents.flatMap((document) => document.expected);
  let next = 0;
  const numbered = documents.map(({ tokens: own, counts }) => ({ tokens: own.map(() => next++), counts }));
  const packed = packSequences(numbered, length);
  const facts = { identity: `${identity} ${use}`, length, sequences: packed.length, top, vocabulary, temperature: 1 };
  await using writer = await TaughtTextWriter.create(outputs[use], facts);
  for (const { tokens: inputs, targets, documents: places, weights } of packed) {
    const sequence: Sequence = {
      tokens: inputs.map((number) => tokens[number]!),
      targets: targets.map((number) => tokens[number]!),
      documents: places,
      weights,
    };
    await writer.write(sequence, opinionsOn(sequence, targets, expected, top));
  }
  await writer.commit();
  return describeTaught(outputs[use], use);
}

function opinionsOn(sequence: Sequence, numbers: Int32Array, expected: Document["expected"], top: number): Opinions {
  const opinions = emptyOpinions(sequence.tokens.length, top);
  sequence.weights.forEach((weight, place) => {
    if (!(weight > 0)) return;
    const target = sequence.targets[place]!;
    const likeliest = [...(expected[numbers[place]!] ?? new Map([[target, 1]]))]
      .toSorted((a, b) => b[1] - a[1])
      .slice(0, top);
    listAt(opinions, place, likeliest, top);
    opinions.nats[place] = -Math.log(Math.max(likeliest.find(([token]) => token === target)?.[1] ?? 0, 1e-9));
  });
  return opinions;
}

/** Puts down a list; where it is short, tokens that are not on it fill it up with nothing. */
function listAt({ ids, probabilities, rests }: Opinions, place: number, list: [number, number][], top: number): void {
  const listed = new Set(list.map(([token]) => token));
  for (let token = 0; list.length < top; token++) if (!listed.has(token)) list.push([token, 0]);
  list.forEach(([token, probability], i) => {
    ids[place * top + i] = token;
    probabilities[place * top + i] = probability;
  });
  rests[place] = Math.max(0, 1 - list.reduce((sum, [, probability]) => sum + probability, 0));
}
