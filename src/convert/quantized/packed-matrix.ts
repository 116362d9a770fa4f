// A matrix of whole numbers with scales and zero points for groups of columns, as GPTQ, AWQ and compressed-tensors store it in layouts of
// their own. Of one row and column: w = scale · (code - zero).

/** One quantized matrix, in memory. */
export interface PackedMatrix {
  /** Outputs and inputs. */
  readonly rows: number;
  readonly columns: number;
  /** A code, 0 … 2^bits - 1. */
  code(row: number, column: number): number;
  /** Which group a column is of. */
  groupOf(column: number): number;
  scale(row: number, group: number): number;
  zero(row: number, group: number): number;
}

/** Values of a row as floats. */
export function dequantizeRow(matrix: PackedMatrix, row: number, into: Float32Array): void {
  for (let column = 0; column < matrix.columns; column++) {
    const group = matrix.groupOf(column);
    into[column] = matrix.scale(row, group) * (matrix.code(row, column) - matrix.zero(row, group));
  }
}

/** Numbers of a few bits in 32-bit words, lowest bits first. */
export class Words {
  readonly #words: Uint32Array;
  readonly #bits: number;
  readonly #mask: number;
  readonly perWord: number;

  constructor(bytes: Uint8Array, bits: number) {
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    this.#bits = bits;
    this.#mask = 2 ** bits - 1;
    this.perWord = 32 / bits;
  }

  /** The number at a place of a word. */
  at(word: number, place: number): number {
    return (this.#words[word]! >>> (place * this.#bits)) & this.#mask;
  }
}
