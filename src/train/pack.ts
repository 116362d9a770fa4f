// Documents into sequences of one length. Long documents are cut, short ones share a sequence; `fillBatch` sees to it that
// no token looks at another document. Every target stands in exactly one sequence.
import { PareError, UsageError } from "../errors.js";
import type { Sequence } from "../graph/token-batch.js";
import { Random } from "../support/random.js";
import { formatCount } from "../support/units.js";
import type { Document } from "./documents.js";

/** Unfinished sequences that a piece may still go into: more of them waste less, and mix what stood together. */
const OPEN_MAX = 64;

/** A part of a document: at most one more token than a sequence, as the last is a target only. */
type Piece = Document;

interface OpenSequence {
  pieces: Piece[];
  length: number;
}

/**
 * Packs documents into sequences, first fit.
 *
 * @param length tokens of a sequence; where all documents together don't fill one, the rest is padding
 */
export function packSequences(documents: readonly Document[], length: number): Sequence[] {
  const pieces = documents.flatMap((document) => cut(document, length));
  const open: OpenSequence[] = [];
  const full: OpenSequence[] = [];
  for (const piece of pieces) {
    const inputs = piece.tokens.length - 1;
    let sequence = open.find((candidate) => candidate.length + inputs <= length);
    if (!sequence) {
      sequence = { pieces: [], length: 0 };
      open.push(sequence);
    }
    sequence.pieces.push(piece);
    sequence.length += inputs;
    if (sequence.length === length) full.push(...open.splice(open.indexOf(sequence), 1));
    else if (open.length > OPEN_MAX) full.push(open.shift()!);
  }
  return [...full, ...open].map(({ pieces: parts }) => sequenceOf(parts, length)).filter(counts);
}

/** More is not looked at in a validation, so that it takes a small part of the run. */
export const VALIDATION_TOKENS_MAX = 16_384;

/** Sequences to validate on: where there are too many, some of all parts of the text, evenly spread. */
export function packValidation(documents: readonly Document[], length: number): Sequence[] {
  const sequences = packSequences(documents, length);
  const count = Math.min(sequences.length, Math.max(1, Math.floor(VALIDATION_TOKENS_MAX / length)));
  return Array.from({ length: count }, (_, i) => sequences[Math.floor((i * sequences.length) / count)]!);
}

/** @throws {PareError} when all documents together don't fill a sequence */
export function requireSequence(documents: readonly Document[], length: number): void {
  const total = documents.reduce((sum, { tokens }) => sum + tokens.length - 1, 0);
  if (total >= length) return;
  throw new PareError(
    `The training text is shorter than one sequence: ${formatCount(total)} tokens, a sequence takes ${formatCount(length)}`,
    { hint: total > 1 ? `Use more text, or --context ${total}` : "Use more text" },
  );
}

/** Pieces of up to `length` inputs; each begins with the last target of the one before. */
function cut({ tokens, counts: marks }: Document, length: number): Piece[] {
  const pieces: Piece[] = [];
  for (let start = 0; start < tokens.length - 1; start += length) {
    pieces.push({
      tokens: tokens.subarray(start, start + length + 1),
      counts: marks.subarray(start, start + length + 1),
    });
  }
  return pieces;
}

function sequenceOf(pieces: readonly Piece[], length: number): Sequence {
  const tokens = new Int32Array(length);
  const documents = new Int32Array(length).fill(-1); // padding is a document of its own
  const targets = new Int32Array(length);
  const weights = new Float32Array(length);
  let at = 0;
  pieces.forEach((piece, number) => {
    const inputs = piece.tokens.length - 1;
    tokens.set(piece.tokens.subarray(0, inputs), at);
    targets.set(piece.tokens.subarray(1), at);
    weights.set(piece.counts.subarray(1), at);
    documents.fill(number, at, at + inputs);
    at += inputs;
  });
  return { tokens, documents, targets, weights };
}

/** A sequence without a target teaches nothing. */
function counts({ weights }: Sequence): boolean {
  return weights.some((weight) => weight > 0);
}

/** Targets of a sequence that count. */
export function countingTargets({ weights }: Sequence): number {
  return weights.reduce((count, weight) => count + (weight > 0 ? 1 : 0), 0);
}

/** With more of the tokens than that, picking out those that count saves too little. */
const SPARSE_SHARE_MAX = 0.75;

/** The most targets that so many sequences of these can have; undefined where that is most of their tokens. */
export function targetsMaxOf(sequences: readonly Sequence[], count: number): number | undefined {
  const targets = sequences.map(countingTargets);
  const most = targets
    .toSorted((a, b) => b - a)
    .slice(0, count)
    .reduce((a, b) => a + b, 0);
  const tokens = count * Math.max(0, ...sequences.map(({ weights }) => weights.length));
  return most < SPARSE_SHARE_MAX * tokens ? most : undefined;
}

/**
 * Takes the end of the text for validation: the last documents, and of the one in which the cut falls its end.
 *
 * @param share of all tokens
 */
export function splitValidation(
  documents: readonly Document[],
  share: number,
): { train: Document[]; validation: Document[] } {
  const total = documents.reduce((sum, { tokens }) => sum + tokens.length, 0);
  let left = Math.round(total * share);
  const train = [...documents];
  const validation: Document[] = [];
  while (left > 1 && train.length > 0) {
    const { tokens, counts: marks } = train.pop()!;
    const at = Math.max(0, tokens.length - left);
    validation.unshift({ tokens: tokens.subarray(at), counts: marks.subarray(at) });
    if (at > 1) train.push({ tokens: tokens.subarray(0, at), counts: marks.subarray(0, at) });
    left -= tokens.length - at;
  }
  return { train, validation };
}

/** The order of the sequences: every epoch another, always the same for a seed, so that a run can go on anywhere. */
export class DataOrder {
  readonly #sequences: readonly Sequence[];
  readonly #batch: number;
  readonly #random: Random;
  #epoch = -1;
  #order: readonly Sequence[] = [];

  /** @throws {UsageError} when there are fewer sequences than a step takes */
  constructor(sequences: readonly Sequence[], batch: number, seed: number) {
    if (sequences.length < batch) {
      throw new UsageError(`A step takes ${batch} sequences, the training text has ${sequences.length}`, {
        hint: `Use more text, or --batch ${sequences.length}`,
      });
    }
    this.#sequences = sequences;
    this.#batch = batch;
    this.#random = new Random(seed);
  }

  /** Steps in which every sequence is seen once; the few that don't fill a step are left for the next epoch's order. */
  get stepsPerEpoch(): number {
    return Math.floor(this.#sequences.length / this.#batch);
  }

  /** The sequences of a step, from 1 on. */
  at(step: number): readonly Sequence[] {
    const epoch = Math.floor((step - 1) / this.stepsPerEpoch);
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#order = this.#random.fork(`epoch ${epoch}`).shuffled(this.#sequences);
    }
    const start = ((step - 1) % this.stepsPerEpoch) * this.#batch;
    return this.#order.slice(start, start + this.#batch);
  }
}
