// Writes a family's numbers under its own prefix: `llama.block_count`. What is undefined is left out.
import type { Metadata } from "../formats/gguf/metadata.js";

export class Hyperparameters {
  constructor(
    readonly metadata: Metadata,
    readonly architecture: string,
  ) {}

  count(key: string, value: number | undefined): this {
    if (value !== undefined) this.metadata.set(`${this.architecture}.${key}`, "uint32", value);
    return this;
  }

  number(key: string, value: number | undefined): this {
    if (value !== undefined) this.metadata.set(`${this.architecture}.${key}`, "float32", value);
    return this;
  }

  text(key: string, value: string | undefined): this {
    if (value !== undefined) this.metadata.set(`${this.architecture}.${key}`, "string", value);
    return this;
  }
}
