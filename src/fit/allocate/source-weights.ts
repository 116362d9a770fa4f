// The weights of a model's file, read piece by piece without awaiting anything: native work in a child process is
// synchronous, and memory stays small.
import { closeSync, openSync, readSync } from "node:fs";

import { FormatError, PareError } from "../../errors.js";
import { type GgufFile, type GgufTensor, readGguf } from "../../formats/gguf/read.js";
import { elementCount } from "../../model/model.js";
import type { GgmlLibrary } from "../../native/engine.js";
import { dequantize, validateRows } from "../../native/ggml.js";

/** Weights of one piece: whole blocks of every type. */
export const PIECE_WEIGHTS = 2 ** 20;

export class SourceWeights implements Disposable {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
  readonly #parts: readonly string[];
  readonly #files: number[];

  private constructor(gguf: GgufFile) {
    this.path = gguf.parts[0]!;
    this.tensors = new Map(gguf.tensors.map((tensor) => [tensor.name, tensor]));
    this.#parts = gguf.parts;
    this.#files = gguf.parts.map((part) => openSync(part, "r"));
  }

  /**
   * Opens a model's file, a split one by any of its parts.
   *
   * @throws {FormatError} when it is no sound GGUF file
   */
  static async open(path: string, options: { signal?: AbortSignal } = {}): Promise<SourceWeights> {
    if (/^https?:/.test(path)) throw new PareError(`Cannot measure weights of "${path}": download the file first`);
    await using gguf = await readGguf(path, options);
    return new SourceWeights(gguf);
  }

  /** @throws {RangeError} when there is no such tensor */
  tensor(name: string): GgufTensor {
    const tensor = this.tensors.get(name);
    if (tensor) return tensor;
    throw new RangeError(`"${this.path}" has no tensor "${name}"`);
  }

  /** The bytes of a tensor, in pieces that are whole blocks; each is valid until the next. */
  *pieces(name: string): Generator<{ start: number; count: number; bytes: Uint8Array }> {
    const tensor = this.tensor(name);
    const total = tensor.shape.reduce((product, length) => product * length, 1);
    const buffer = new Uint8Array(Math.ceil((Math.min(PIECE_WEIGHTS, total) / total) * tensor.sizeBytes));
    for (let start = 0; start < total; start += PIECE_WEIGHTS) {
      const count = Math.min(PIECE_WEIGHTS, total - start);
      const bytes = buffer.subarray(0, (count / total) * tensor.sizeBytes);
      this.#read(tensor, (start / total) * tensor.sizeBytes, bytes);
      yield { start, count, bytes };
    }
  }

  /**
   * The same pieces as floats, valid until the next.
   *
   * @throws {PareError} at a NaN or an infinity; the message names the tensor
   */
  *values(ggml: GgmlLibrary, name: string): Generator<{ start: number; values: Float32Array }> {
    const { type } = this.tensor(name);
    let buffer: Float32Array | undefined;
    for (const { start, count, bytes } of this.pieces(name)) {
      this.requireNumbers(ggml, name, bytes);
      buffer ??= new Float32Array(count);
      yield { start, values: dequantize(ggml, type, bytes, count, buffer.subarray(0, count)) };
    }
  }

  /** All values of a tensor, in the order in which they lie. @throws {PareError} as `values` */
  floats(ggml: GgmlLibrary, name: string): Float32Array {
    const out = new Float32Array(elementCount(this.tensor(name).shape));
    for (const { start, values } of this.values(ggml, name)) out.set(values, start);
    return out;
  }

  /** @throws {PareError} when bytes of a tensor hold a NaN or an infinity */
  requireNumbers(ggml: GgmlLibrary, name: string, bytes: Uint8Array): void {
    if (validateRows(ggml, this.tensor(name).type, bytes)) return;
    throw new PareError(`Cannot use "${this.path}": tensor "${name}" holds NaN or infinity`, {
      hint: "The file may be damaged; get or make it anew",
    });
  }

  [Symbol.dispose](): void {
    for (const file of this.#files.splice(0)) closeSync(file);
  }

  #read(tensor: GgufTensor, offset: number, into: Uint8Array): void {
    const file = this.#files[tensor.part];
    if (file === undefined) throw new Error(`"${this.path}" was read after it was closed`);
    let done = 0;
    while (done < into.byteLength) {
      const count = readSync(file, into, done, into.byteLength - done, tensor.offset + offset + done);
      if (count === 0) throw endsEarly(this.#parts[tensor.part]!, tensor.name);
      done += count;
    }
  }
}

function endsEarly(path: string, name: string): FormatError {
  return new FormatError(path, `Cannot read GGUF "${path}": it ends within tensor "${name}"`);
}
