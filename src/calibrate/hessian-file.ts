// Hessians on disk: a GGUF file of type "hessian". Each distinct input is stored once, as `<weight>.hessian`
// [columns, columns] (a plane per matrix of a stack) and `<weight>.counts` [1, 1], or [1, matrices] where a router picks among
// them, both F32, named after the first weight that reads it. `hessian.weights` lists all weights, `hessian.stored_as` the name under which each is stored.
import { FormatError } from "../errors.js";
import { Metadata, MetadataArray } from "../formats/gguf/metadata.js";
import { type GgufFile, readGguf } from "../formats/gguf/read.js";
import { writeGguf } from "../formats/gguf/write.js";
import type { RunOptions } from "../support/progress.js";

/** The Hessian of the weights that share one input. */
export interface Hessian {
  /** The weight that it is stored under, then the others. */
  weights: readonly string[];
  columns: number;
  matrices: number;
  /** Σ x xᵀ, symmetric, [columns × columns × matrices]. */
  matrix: Float32Array;
  /** Rows summed up in each matrix: one count for all, or one per matrix of a routed layer. */
  counts: Float32Array;
}

/** What a file says of one input before its numbers are read. */
export type HessianShape = Pick<Hessian, "weights" | "columns" | "matrices">;

/** Writes Hessians, atomically. */
export async function writeHessians(path: string, hessians: readonly Hessian[], options: RunOptions = {}) {
  const pairs = hessians.flatMap(({ weights }) => weights.map((weight) => [weight, weights[0]!] as const));
  const metadata = new Metadata()
    .set("general.type", "string", "hessian")
    .set(
      "hessian.weights",
      "array",
      MetadataArray.of(
        "string",
        pairs.map(([weight]) => weight),
      ),
    )
    .set(
      "hessian.stored_as",
      "array",
      MetadataArray.of(
        "string",
        pairs.map(([, stored]) => stored),
      ),
    );
  const tensors = hessians.flatMap(({ weights, columns, matrices, matrix, counts }) => [
    {
      name: `${weights[0]}.hessian`,
      shape: [columns, columns, ...(matrices > 1 ? [matrices] : [])],
      type: "f32" as const,
      chunks: () => pieces(matrix),
    },
    { name: `${weights[0]}.counts`, shape: [1, counts.length], type: "f32" as const, chunks: () => pieces(counts) },
  ]);
  return writeGguf(path, { metadata, tensors }, options);
}

/** An open Hessian file; one Hessian is read at a time. */
export class HessianFile implements AsyncDisposable {
  readonly #file: GgufFile;
  readonly #storedAs: ReadonlyMap<string, string>;

  private constructor(file: GgufFile, storedAs: ReadonlyMap<string, string>) {
    this.#file = file;
    this.#storedAs = storedAs;
  }

  /** @throws {FormatError} when it is no Hessian file */
  static async open(path: string, options: { signal?: AbortSignal } = {}): Promise<HessianFile> {
    const file = await readGguf(path, options);
    const weights = file.metadata.array("hessian.weights")?.strings() ?? [];
    const stored = file.metadata.array("hessian.stored_as")?.strings() ?? [];
    const storedAs = new Map(weights.map((weight, i) => [weight, stored[i]!]));
    const fault = listFault(weights, stored, storedAs);
    if (fault === undefined) return new HessianFile(file, storedAs);
    await file.close();
    throw new FormatError(path, `Cannot read Hessians "${path}": ${fault}`, {
      hint: "Make it with `pare calibrate --hessians FILE`",
    });
  }

  /** All weights that have a Hessian. */
  get weights(): string[] {
    return [...this.#storedAs.keys()];
  }

  /**
   * All distinct inputs, in the order in which they are listed.
   *
   * @throws {FormatError} when one is no square of f32 with one count, or one for each matrix
   */
  get shapes(): HessianShape[] {
    return [...new Set(this.#storedAs.values())].map((stored) => this.#shapeOf(stored));
  }

  /**
   * Reads one weight's Hessian; undefined when the file has none.
   *
   * @throws {FormatError} when it is no square of finite numbers
   */
  async read(weight: string): Promise<Hessian | undefined> {
    const stored = this.#storedAs.get(weight);
    if (stored === undefined) return undefined;
    const shape = this.#shapeOf(stored);
    const matrix = await this.#floats(`${stored}.hessian`, Number.isFinite);
    const counts = await this.#floats(`${stored}.counts`, (count) => count >= 0 && count < Infinity);
    return { ...shape, matrix, counts };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  #shapeOf(stored: string): HessianShape {
    const tensor = this.#file.tensor(`${stored}.hessian`);
    const [columns = 0, rows = 0, matrices = 1] = tensor?.shape ?? [];
    if (tensor?.type !== "f32" || columns !== rows || tensor.shape.length > 3) {
      throw this.#failure(`"${stored}.hessian" is no square matrix of f32`);
    }
    const counts = this.#file.tensor(`${stored}.counts`);
    const countsTotal = (counts?.sizeBytes ?? 0) / Float32Array.BYTES_PER_ELEMENT;
    if (counts?.type !== "f32" || (countsTotal !== 1 && countsTotal !== matrices)) {
      throw this.#failure(`"${stored}.counts" is not ${matrices === 1 ? 1 : `1 or ${matrices}`} of f32`);
    }
    const weights = [stored, ...this.weights.filter((name) => name !== stored && this.#storedAs.get(name) === stored)];
    return { weights, columns, matrices };
  }

  async #floats(name: string, isSound: (value: number) => boolean): Promise<Float32Array> {
    const values = new Float32Array(new Uint8Array(await this.#file.readTensor(name)).buffer);
    const bad = values.findIndex((value) => !isSound(value));
    if (bad >= 0) throw this.#failure(`number ${bad} of "${name}" is ${values[bad]}`);
    return values;
  }

  #failure(reason: string): FormatError {
    const { path } = this.#file;
    return new FormatError(path, `Cannot read Hessians "${path}": ${reason}`);
  }
}

/** What is wrong with the lists, if anything: a name that others are stored under has to be stored under itself. */
function listFault(
  weights: readonly string[],
  stored: readonly string[],
  storedAs: ReadonlyMap<string, string>,
): string | undefined {
  if (weights.length === 0 || weights.length !== stored.length) {
    return `it lists ${weights.length} weights under ${stored.length} names`;
  }
  const stray = weights.find((weight) => storedAs.get(storedAs.get(weight)!) !== storedAs.get(weight));
  if (stray === undefined) return undefined;
  const name = storedAs.get(stray)!;
  const found = storedAs.get(name);
  return `"${stray}" is stored as "${name}", which is ${found === undefined ? "not listed" : `stored as "${found}"`}`;
}

const PIECE_BYTES = 1 << 24;

/** In pieces, so that an abort is heard between them. */
function* pieces(values: Float32Array): Iterable<Uint8Array> {
  for (let start = 0; start < values.byteLength; start += PIECE_BYTES) {
    yield new Uint8Array(values.buffer, values.byteOffset + start, Math.min(PIECE_BYTES, values.byteLength - start));
  }
}
