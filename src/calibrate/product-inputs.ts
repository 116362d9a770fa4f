// What enters a matrix product of a running graph: which weight multiplies, and which rows of its input go into which matrix.
import { EngineError } from "../errors.js";
import type { TensorView } from "../native/observe.js";

/** Rows of an input on their way into one matrix: `values[offset … offset + columns)` each. */
export interface MatrixRows {
  offsets: Int32Array;
  /** The batch's token that each row belongs to, ascending; only where a router picks. */
  tokens?: Int32Array;
}

/** True for products of weights, routed ones included. */
export function isProduct({ op }: TensorView): boolean {
  return op === "MUL_MAT" || op === "MUL_MAT_ID";
}

/** True where a router picks the matrices of each token. */
export function isRoutedProduct({ op }: TensorView): boolean {
  return op === "MUL_MAT_ID";
}

/** The weight's name in the file; on several devices ggml renames copies: `CUDA0#blk.0.attn_k.weight#0`. */
export function weightName(product: TensorView): string {
  const { name } = product.source(0)!;
  return /#([^#]*)/.exec(name)?.[1] ?? name;
}

/** Matrices of a weight; stacked ones have several. */
export function matricesOf(weight: TensorView): number {
  return weight.shape[2] * weight.shape[3];
}

/** Rows of a tensor over all higher dimensions. */
export function rowsOf(tensor: TensorView): number {
  return tensor.shape[1] * tensor.shape[2] * tensor.shape[3];
}

/**
 * Rows of a product's input by the matrix that they enter.
 *
 * @throws {EngineError} when the rows don't lie in floats, or a router chose an expert that is not there
 */
export function rowsByMatrix(product: TensorView): Map<number, MatrixRows> {
  return isRoutedProduct(product) ? routedRows(product) : denseRows(product);
}

/** Rows of an input that enters one matrix as a whole. */
export function plainRows(input: TensorView): Map<number, MatrixRows> {
  return new Map([[0, { offsets: planeOffsets(input, () => 0, 1)[0]! }]]);
}

/** Input [columns, rows, i2, i3]: plane (i2, i3) enters matrix (i2 mod ne2, i3 mod ne3); a 2-D weight takes them all. */
function denseRows(product: TensorView): Map<number, MatrixRows> {
  const [weight, input] = [product.source(0)!, product.source(1)!];
  const [, , planes, volumes] = weight.shape;
  const matrixOf = (i2: number, i3: number): number => (i3 % volumes) * planes + (i2 % planes);
  return new Map(planeOffsets(input, matrixOf, planes * volumes).map((offsets, matrix) => [matrix, { offsets }]));
}

function planeOffsets(input: TensorView, matrixOf: (i2: number, i3: number) => number, matrices: number): Int32Array[] {
  const [, rows, planes, volumes] = input.shape;
  const [, row, plane, volume] = floatStrides(input);
  const offsets = Array.from({ length: matrices }, () => [] as number[]);
  for (let i3 = 0; i3 < volumes; i3++) {
    for (let i2 = 0; i2 < planes; i2++) {
      const target = offsets[matrixOf(i2, i3)]!;
      for (let i1 = 0; i1 < rows; i1++) target.push(i1 * row + i2 * plane + i3 * volume);
    }
  }
  return offsets.map((list) => Int32Array.from(list));
}

/** Input [columns, used or 1, tokens] and expert ids [used, tokens]: each token enters the experts that its ids name. */
function routedRows(product: TensorView): Map<number, MatrixRows> {
  const [input, ids] = [product.source(1)!, product.source(2)!];
  const matrices = matricesOf(product.source(0)!);
  const [used, tokens] = ids.shape;
  const [, slotStride, tokenStride] = floatStrides(input);
  const [idStride, idTokenStride] = [ids.strides[0] / 4, ids.strides[1] / 4];
  const chosen = ids.integers();
  const rows = new Map<number, { offsets: number[]; tokens: number[] }>();
  for (let token = 0; token < tokens; token++) {
    for (let slot = 0; slot < used; slot++) {
      const expert = chosen[token * idTokenStride + slot * idStride]!;
      if (!(expert >= 0 && expert < matrices)) {
        throw new EngineError(`The router of "${weightName(product)}" chose expert ${expert} of ${matrices}`);
      }
      let list = rows.get(expert);
      if (!list) rows.set(expert, (list = { offsets: [], tokens: [] }));
      list.offsets.push((slot % input.shape[1]) * slotStride + token * tokenStride);
      list.tokens.push(token);
    }
  }
  return new Map(
    [...rows].map(([expert, list]) => [
      expert,
      { offsets: Int32Array.from(list.offsets), tokens: Int32Array.from(list.tokens) },
    ]),
  );
}

function floatStrides(tensor: TensorView): [number, number, number, number] {
  const [element, row, plane, volume] = tensor.strides;
  if (element !== 4) throw new EngineError(`The input "${tensor.name}" does not lie in rows of floats`);
  return [1, row / 4, plane / 4, volume / 4];
}

/** An error that names the layer whose input can't be used. */
export function unsoundInput(weight: string, reason: string, column: number, path?: string): EngineError {
  const where = path === undefined ? "" : ` of "${path}"`;
  return new EngineError(`The input of "${weight}" ${reason} in column ${column}${where}`, {
    hint: "The model's weights are damaged, or it needs another precision than the one it was stored in",
  });
}
