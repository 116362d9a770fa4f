// Sequences with what a teacher thought of each of their tokens, as a file: of each place the likeliest tokens with their
// probabilities, and the mass of all others together, so that nothing is lost or invented. The teacher itself is not in
// memory while a student learns, and of this file only the sequences of a step are.
//
//   "PARETOP1", u32 bytes of the header, JSON, then one record for each sequence of T tokens, all of one size:
//   i32 tokens[T], documents[T], targets[T]; f32 weights[T], rests[T], nats[T]; u16 or u32 ids[T · k]; u16 codes[T · k];
//   f16 states[T · width], where they are wanted
//
// A code is −ln p in steps of 1/2048 nat: a probability is right to 0.03 %, down to e⁻³². Rests are exact sums.
import { closeSync, openSync, readSync } from "node:fs";
import { open, stat } from "node:fs/promises";

import { FormatError, messageOf } from "../../errors.js";
import type { Sequence } from "../../graph/token-batch.js";
import { AtomicFile, requireDisk } from "../../support/files.js";

const MAGIC = "PARETOP1";
const CODES_PER_NAT = 2048;
const CODE_MAX = 65_535;
/** Of four bytes, before the lists. */
const FIELDS = 6;
const HEADER_BYTES_MAX = 1 << 16;

/** What a file holds. */
export interface TaughtTextFacts {
  /** Changes whenever anything changes that the file was made from. */
  identity: string;
  /** Tokens of a sequence. */
  length: number;
  sequences: number;
  /** Tokens in each list. */
  top: number;
  /** Tokens of the vocabulary. */
  vocabulary: number;
  /** What logits were divided by. */
  temperature: number;
  /** Elements of the teacher's last hidden states, where they are kept. */
  width?: number | undefined;
}

/** What a teacher thought at the places of one sequence. */
export interface Opinions {
  /** [T · k]: tokens, each once at a place. */
  readonly ids: Uint32Array;
  /** [T · k]; with the rest of their place they sum to 1. */
  readonly probabilities: Float32Array;
  /** [T]: probability of all other tokens together. */
  readonly rests: Float32Array;
  /** [T]: −ln of the target's probability. */
  readonly nats: Float32Array;
  /** f16 [T · width]: what the teacher's output matrix was given. */
  readonly states?: Uint16Array | undefined;
}

/** A sequence of such a file, and where it stands there. */
export interface TaughtSequence extends Sequence {
  readonly source: TaughtText;
  readonly index: number;
}

interface Layout {
  recordBytes: number;
  idBytes: 2 | 4;
}

function layoutOf({ length, top, vocabulary, width = 0 }: TaughtTextFacts): Layout {
  const idBytes = vocabulary <= 65_536 ? 2 : 4;
  const bytes = length * (FIELDS * 4 + top * (2 + idBytes) + 2 * width);
  return { idBytes, recordBytes: Math.ceil(bytes / 4) * 4 };
}

/** Writes sequence after sequence; the file appears whole. */
export class TaughtTextWriter implements AsyncDisposable {
  readonly #file: AtomicFile;
  readonly #facts: TaughtTextFacts;
  readonly #layout: Layout;
  #written = 0;

  private constructor(file: AtomicFile, facts: TaughtTextFacts) {
    this.#file = file;
    this.#facts = facts;
    this.#layout = layoutOf(facts);
  }

  /** @throws {ResourceError} when the disk has no room for so many sequences */
  static async create(path: string, facts: TaughtTextFacts): Promise<TaughtTextWriter> {
    await requireDisk(path, layoutOf(facts).recordBytes * facts.sequences);
    const file = await AtomicFile.create(path);
    const header = new TextEncoder().encode(JSON.stringify(facts));
    await file.write(new TextEncoder().encode(MAGIC));
    await file.write(new Uint8Array(Uint32Array.of(header.byteLength).buffer));
    await file.write(header);
    return new TaughtTextWriter(file, facts);
  }

  async write(sequence: Sequence, opinions: Opinions): Promise<void> {
    const { length, top } = this.#facts;
    const record = new ArrayBuffer(this.#layout.recordBytes);
    const { tokens, documents, targets, weights, rests, nats, codes, ids, states } = viewsOf(record, this.#facts);
    tokens.set(sequence.tokens);
    documents.set(sequence.documents);
    targets.set(sequence.targets);
    weights.set(sequence.weights);
    rests.set(opinions.rests);
    nats.set(opinions.nats);
    ids.set(opinions.ids);
    if (opinions.states) states.set(opinions.states);
    for (let i = 0; i < length * top; i++) codes[i] = codeOf(opinions.probabilities[i]!);
    await this.#file.write(new Uint8Array(record));
    this.#written++;
  }

  async commit(): Promise<void> {
    if (this.#written !== this.#facts.sequences)
      throw new RangeError(`${this.#written} sequences of ${this.#facts.sequences} were written`);
    await this.#file.commit();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}

/** A file of taught text, open for reading. */
export class TaughtText implements Disposable {
  readonly facts: TaughtTextFacts;
  readonly #handle: number;
  readonly #layout: Layout;
  readonly #start: number;

  private constructor(handle: number, facts: TaughtTextFacts, start: number) {
    this.#handle = handle;
    this.facts = facts;
    this.#start = start;
    this.#layout = layoutOf(facts);
  }

  /** @throws {FormatError} when it is no such file, or cut short */
  static async open(path: string): Promise<TaughtText> {
    const { facts, start } = await readFacts(path);
    const wantedBytes = start + layoutOf(facts).recordBytes * facts.sequences;
    const { size } = await stat(path);
    if (size !== wantedBytes) throw new FormatError(path, `Cannot read "${path}": ${size} bytes, not ${wantedBytes}`);
    return new TaughtText(openSync(path, "r"), facts, start);
  }

  /** All sequences, without the opinions on them. */
  sequences(): TaughtSequence[] {
    return Array.from({ length: this.facts.sequences }, (_, index) => {
      const { tokens, documents, targets, weights } = viewsOf(this.#record(index, this.facts.length * 16), this.facts);
      return { tokens, documents, targets, weights, source: this, index };
    });
  }

  /** What the teacher thought of a sequence. Probabilities are scaled by what rounding took, so that they sum to 1. */
  opinions(index: number): Opinions {
    const { rests, nats, codes, ids, states } = viewsOf(this.#record(index, this.#layout.recordBytes), this.facts);
    const { top } = this.facts;
    const probabilities = new Float32Array(codes.length);
    for (let place = 0; place < rests.length; place++) {
      let sum = 0;
      for (let i = place * top; i < (place + 1) * top; i++) sum += probabilities[i] = probabilityOf(codes[i]!);
      const scale = sum > 0 ? (1 - rests[place]!) / sum : 0;
      for (let i = place * top; i < (place + 1) * top; i++) probabilities[i]! *= scale;
    }
    return { ids: Uint32Array.from(ids), probabilities, rests, nats, states };
  }

  /** The part of what the teacher thought that is not in lists. */
  summary(index: number): Pick<Opinions, "rests" | "nats"> {
    return viewsOf(this.#record(index, this.facts.length * FIELDS * 4), this.facts);
  }

  #record(index: number, bytes: number): ArrayBuffer {
    const record = new ArrayBuffer(this.#layout.recordBytes);
    readSync(this.#handle, new Uint8Array(record, 0, bytes), 0, bytes, this.#start + index * this.#layout.recordBytes);
    return record;
  }

  [Symbol.dispose](): void {
    closeSync(this.#handle);
  }
}

/** A file of taught text, as results tell of it. */
export interface TaughtFile {
  path: string;
  use: "train" | "validation" | "guard";
  sequences: number;
  /** Tokens that are learned. */
  targets: number;
  sizeBytes: number;
  /** Mean probability that no list holds. */
  restMean: number;
  /** The teacher's own mean cross-entropy in nats per token. */
  loss: number;
}

export async function describeTaught(path: string, use: TaughtFile["use"]): Promise<TaughtFile> {
  using taught = await TaughtText.open(path);
  let targets = 0;
  let rest = 0;
  let loss = 0;
  for (const { weights, index } of taught.sequences()) {
    const { rests, nats } = taught.summary(index);
    weights.forEach((weight, i) => {
      if (!(weight > 0)) return;
      targets++;
      rest += rests[i]!;
      loss += nats[i]!;
    });
  }
  const { size: sizeBytes } = await stat(path);
  const { sequences } = taught.facts;
  const count = Math.max(1, targets);
  return { path, use, sequences, targets, sizeBytes, restMean: rest / count, loss: loss / count };
}

/** What a file says of itself; undefined when there is none. */
export async function taughtTextFacts(path: string): Promise<TaughtTextFacts | undefined> {
  try {
    return (await readFacts(path)).facts;
  } catch {
    return undefined;
  }
}

async function readFacts(path: string): Promise<{ facts: TaughtTextFacts; start: number }> {
  await using file = await open(path, "r");
  const head = new Uint8Array(12);
  await file.read(head, 0, 12, 0);
  const bytes = new DataView(head.buffer).getUint32(8, true);
  if (new TextDecoder().decode(head.subarray(0, 8)) !== MAGIC || bytes > HEADER_BYTES_MAX)
    throw new FormatError(path, `Cannot read "${path}": it holds no taught text`);
  const header = new Uint8Array(bytes);
  await file.read(header, 0, bytes, 12);
  try {
    return { facts: JSON.parse(new TextDecoder().decode(header)) as TaughtTextFacts, start: 12 + bytes };
  } catch (cause) {
    throw new FormatError(path, `Cannot read "${path}": its header is damaged: ${messageOf(cause)}`, { cause });
  }
}

function viewsOf(record: ArrayBuffer, facts: TaughtTextFacts) {
  const { length, top, width = 0 } = facts;
  const at = (part: number): number => part * length * 4;
  const { idBytes } = layoutOf(facts);
  const idsAt = at(FIELDS);
  const codesAt = idsAt + length * top * idBytes;
  return {
    tokens: new Int32Array(record, at(0), length),
    documents: new Int32Array(record, at(1), length),
    targets: new Int32Array(record, at(2), length),
    weights: new Float32Array(record, at(3), length),
    rests: new Float32Array(record, at(4), length),
    nats: new Float32Array(record, at(5), length),
    ids: idBytes === 2 ? new Uint16Array(record, idsAt, length * top) : new Uint32Array(record, idsAt, length * top),
    codes: new Uint16Array(record, codesAt, length * top),
    states: new Uint16Array(record, codesAt + length * top * 2, length * width),
  };
}

function codeOf(probability: number): number {
  return probability > 0 ? Math.min(CODE_MAX, Math.round(-Math.log(probability) * CODES_PER_NAT)) : CODE_MAX;
}

function probabilityOf(code: number): number {
  return code === CODE_MAX ? 0 : Math.exp(-code / CODES_PER_NAT);
}
