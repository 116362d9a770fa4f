// A file in memory that counts what is read of it.
import type { ByteSource } from "../src/formats/gguf/bytes.js";

export class MemorySource implements ByteSource {
  readonly sizeBytes: number;
  bytesRead = 0;
  isClosed = false;

  constructor(
    private readonly bytes: Uint8Array,
    readonly path = "x.gguf",
    /** What the file claims to measure beyond its bytes, which read as zeros. */
    private readonly paddingBytes = 0,
  ) {
    this.sizeBytes = bytes.byteLength + paddingBytes;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (offset + length > this.sizeBytes) throw new RangeError("read beyond the end");
    this.bytesRead += length;
    const result = new Uint8Array(length);
    result.set(this.bytes.subarray(offset, offset + length));
    return result;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}
