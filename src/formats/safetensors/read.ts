// Reads one safetensors file: header now, tensors when asked for. Nothing here trusts the file; see `read-header.ts`.
import { type ByteSource, openSource } from "../gguf/bytes.js";
import { type SafetensorsInfo, readHeader } from "./read-header.js";

/** An open safetensors file. */
export class SafetensorsFile implements AsyncDisposable {
  readonly path: string;
  readonly sizeBytes: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, SafetensorsInfo>;
  readonly #source: ByteSource;

  constructor(source: ByteSource, metadata: Readonly<Record<string, string>>, tensors: readonly SafetensorsInfo[]) {
    this.path = source.path;
    this.sizeBytes = source.sizeBytes;
    this.metadata = metadata;
    this.tensors = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    this.#source = source;
  }

  /**
   * Reads `length` of a tensor's bytes from `offset` on, into memory of their own or the start of `into`.
   *
   * @throws {RangeError} when the range is beyond the tensor
   * @throws {FormatError} when the file ends before
   */
  async read(tensor: SafetensorsInfo, offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    if (!(offset >= 0 && length >= 0 && offset + length <= tensor.sizeBytes)) {
      throw new RangeError(`Tensor "${tensor.name}" has ${tensor.sizeBytes} bytes, not ${length} from ${offset}`);
    }
    return this.#source.read(tensor.offset + offset, length, into);
  }

  async close(): Promise<void> {
    await this.#source.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens a safetensors file by path, address or source. A source is closed with the file.
 *
 * @throws {FormatError} when it is no sound safetensors file
 * @throws {PareError} when it can't be read
 */
export async function readSafetensors(
  pathOrSource: string | ByteSource,
  options: { signal?: AbortSignal } = {},
): Promise<SafetensorsFile> {
  const source = typeof pathOrSource === "string" ? await openSource(pathOrSource, options) : pathOrSource;
  try {
    const { metadata, tensors } = await readHeader(source);
    return new SafetensorsFile(source, metadata, tensors);
  } catch (error) {
    await source.close();
    throw error;
  }
}
