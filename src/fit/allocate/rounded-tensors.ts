// The bytes of tensors that were rounded, kept beside the output until it is written: in memory they would grow with the model.
import { closeSync, openSync, readSync } from "node:fs";

import { AtomicFile } from "../../support/files.js";

/** Bytes by tensor name, on disk. Nothing is left of them after disposal, or when the process is stopped. */
export class RoundedTensors implements AsyncDisposable {
  readonly #file: AtomicFile;
  readonly #descriptor: number;
  readonly #places = new Map<string, { position: number; length: number }>();

  private constructor(file: AtomicFile) {
    this.#file = file;
    this.#descriptor = openSync(file.temporaryPath, "r");
  }

  /**
   * @param beside the output's path: there is room for as much again
   * @throws {PareError} when its folder can't be written
   */
  static async create(beside: string): Promise<RoundedTensors> {
    return new RoundedTensors(await AtomicFile.create(beside));
  }

  /** How many tensors there are. */
  get size(): number {
    return this.#places.size;
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  /** Keeps a tensor's bytes, in place of earlier ones. @throws {ResourceError} when the disk is full */
  async set(name: string, bytes: Uint8Array): Promise<void> {
    const position = this.#file.sizeBytes;
    await this.#file.write(bytes, position);
    this.#places.set(name, { position, length: bytes.byteLength });
  }

  /** A tensor's bytes, or undefined. Waits for the disk: native work has no time to await. */
  get(name: string): Uint8Array | undefined {
    const place = this.#places.get(name);
    if (!place) return undefined;
    const bytes = new Uint8Array(place.length);
    let done = 0;
    while (done < place.length) {
      const read = readSync(this.#descriptor, bytes, done, place.length - done, place.position + done);
      if (read === 0) throw new Error(`Cannot read "${name}" back: "${this.#file.temporaryPath}" was cut off`);
      done += read;
    }
    return bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    closeSync(this.#descriptor);
    await this.#file[Symbol.asyncDispose]();
  }
}
