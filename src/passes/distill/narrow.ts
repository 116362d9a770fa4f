// A student narrower than its teacher: fewer channels of the residual stream, fewer heads, fewer neurons of the feed-forward
// part. What is kept are those with the largest weights, reading and writing taken together; channels are the same in all
// layers, heads and neurons each layer chooses for itself. Norms are taken over fewer channels than they were learned for, so a
// narrowed student knows little before it has learned (Muralidharan et al., 2024, arXiv:2407.14679, choose by activations).
import { UsageError } from "../../errors.js";
import type { LlamaShape } from "../../graph/llama.js";
import type { LazyTensor, Model } from "../../model/model.js";
import { elementCount, rowCount, tensorSizeBytes } from "../../model/model.js";
import type { GgmlLibrary } from "../../native/engine.js";
import { dequantize } from "../../native/ggml.js";

/** What a narrower student keeps of each; all where it is undefined. */
export interface Widths {
  width?: number | undefined;
  heads?: number | undefined;
  feedForward?: number | undefined;
}

/** Rows and columns of one matrix that stay, ascending; all where undefined. */
interface Kept {
  rows?: number[] | undefined;
  columns?: number[] | undefined;
}

/** What each axis of a tensor runs over, by the end of its name. */
type Axis = "width" | "queries" | "keys" | "neurons" | "other";
const AXES: Readonly<Record<string, readonly [columns: Axis, rows: Axis]>> = {
  "token_embd.weight": ["width", "other"],
  "output.weight": ["width", "other"],
  "output_norm.weight": ["width", "other"],
  "attn_norm.weight": ["width", "other"],
  "ffn_norm.weight": ["width", "other"],
  "attn_q.weight": ["width", "queries"],
  "attn_k.weight": ["width", "keys"],
  "attn_v.weight": ["width", "keys"],
  "attn_q.bias": ["queries", "other"],
  "attn_k.bias": ["keys", "other"],
  "attn_v.bias": ["keys", "other"],
  "attn_output.weight": ["queries", "width"],
  "ffn_gate.weight": ["width", "neurons"],
  "ffn_up.weight": ["width", "neurons"],
  "ffn_down.weight": ["neurons", "width"],
};

/** @throws {UsageError} when a student would be wider than its teacher, or its heads don't share out */
export function requireNarrower(widths: Widths, shape: LlamaShape): void {
  for (const name of ["width", "heads", "feedForward"] as const) {
    const wanted = widths[name];
    if (wanted !== undefined && wanted > shape[name])
      throw new UsageError(
        `A student with a ${name} of ${wanted} can't be cut from a teacher with one of ${shape[name]}`,
        {
          hint: "Ask for less, or give --student or --new",
        },
      );
  }
  const group = shape.heads / shape.kvHeads;
  if (widths.heads !== undefined && widths.heads % group !== 0)
    throw new UsageError(`${widths.heads} heads are no whole groups: ${group} share each key head`, {
      hint: `Give a multiple of ${group}`,
    });
}

/** The model with less of everything that is asked for, in f32. */
export async function narrowed(
  engine: GgmlLibrary,
  { metadata, tensors }: Pick<Model, "metadata" | "tensors">,
  shape: LlamaShape,
  widths: Widths,
): Promise<Pick<Model, "metadata" | "tensors">> {
  const weights = new Map<string, Float32Array>();
  for (const [name, tensor] of tensors) weights.set(name, await decoded(engine, tensor));
  const keptOf = chooseAxes(tensors, weights, shape, widths);
  const { architecture } = shape;
  const cut = metadata.clone();
  const set = (key: string, value: number): void => void cut.set(`${architecture}.${key}`, "uint32", value);
  set("embedding_length", widths.width ?? shape.width);
  set("feed_forward_length", widths.feedForward ?? shape.feedForward);
  const heads = widths.heads ?? shape.heads;
  set("attention.head_count", heads);
  set("attention.head_count_kv", (heads * shape.kvHeads) / shape.heads);
  set("attention.key_length", shape.headLength); // no longer width / heads
  set("attention.value_length", shape.headLength);
  set("rope.dimension_count", shape.rope.dimensions);
  return {
    metadata: cut,
    tensors: new Map([...tensors].map(([name, tensor]) => [name, gathered(tensor, weights.get(name)!, keptOf(name))])),
  };
}

async function decoded(engine: GgmlLibrary, tensor: LazyTensor): Promise<Float32Array> {
  const { type, shape } = tensor;
  return dequantize(engine, type, await tensor.readRows(0, rowCount(shape)), elementCount(shape));
}

/** Which rows and columns each tensor keeps. */
function chooseAxes(
  tensors: ReadonlyMap<string, LazyTensor>,
  weights: ReadonlyMap<string, Float32Array>,
  shape: LlamaShape,
  widths: Widths,
): (name: string) => Kept {
  const meter = new AxisMeter(tensors, weights);
  const channels =
    widths.width === undefined
      ? undefined
      : largest(
          meter.sums("width", () => true),
          widths.width,
        );
  const ofLayer = (layer: number): Record<Axis, number[] | undefined> => {
    const isOwn = (name: string): boolean => name.startsWith(`blk.${layer}.`);
    const neurons =
      widths.feedForward === undefined ? undefined : largest(meter.sums("neurons", isOwn), widths.feedForward);
    const keys = meter.sums("keys", isOwn);
    const queries = meter.sums("queries", isOwn);
    const groups = widths.heads === undefined ? undefined : keptGroups(keys, queries, shape, widths.heads);
    const perGroup = shape.headLength * (shape.heads / shape.kvHeads);
    return {
      width: channels,
      neurons,
      keys: groups?.flatMap((group) => span(group, shape.headLength)),
      queries: groups?.flatMap((group) => span(group, perGroup)),
      other: undefined,
    };
  };
  const layers = Array.from({ length: shape.layers }, (_, layer) => ofLayer(layer));
  return (name) => {
    const { axes, layer } = axesOf(name);
    const kept = layers[layer ?? 0]!;
    return { columns: kept[axes[0]], rows: kept[axes[1]] };
  };
}

/** Key heads with the queries that share them, by what they weigh together. */
function keptGroups(keys: Float64Array, queries: Float64Array, shape: LlamaShape, heads: number): number[] {
  const { headLength, kvHeads } = shape;
  const perGroup = headLength * (shape.heads / kvHeads);
  const sumOf = (values: Float64Array, group: number, length: number): number =>
    values.subarray(group * length, (group + 1) * length).reduce((a, b) => a + b, 0);
  const weightsOf = Float64Array.from(
    { length: kvHeads },
    (_, group) => sumOf(keys, group, headLength) + sumOf(queries, group, perGroup),
  );
  return largest(weightsOf, (heads * kvHeads) / shape.heads);
}

function span(index: number, length: number): number[] {
  return Array.from({ length }, (_, i) => index * length + i);
}

/** The places of the largest, ascending. */
function largest(values: Float64Array, count: number): number[] {
  return [...values.keys()]
    .toSorted((a, b) => values[b]! - values[a]! || a - b)
    .slice(0, count)
    .toSorted((a, b) => a - b);
}

function axesOf(name: string): { axes: readonly [Axis, Axis]; layer: number | undefined } {
  const layer = /^blk\.(\d+)\./.exec(name);
  const own = layer ? name.slice(layer[0].length) : name;
  return { axes: AXES[own] ?? ["other", "other"], layer: layer ? Number(layer[1]) : undefined };
}

/** Sums squares of weights along axes. */
class AxisMeter {
  constructor(
    readonly tensors: ReadonlyMap<string, LazyTensor>,
    readonly weights: ReadonlyMap<string, Float32Array>,
  ) {}

  /** For each place of an axis, the squares of all matrices that have it. */
  sums(axis: Axis, isCounted: (name: string) => boolean): Float64Array {
    let sums = new Float64Array(0);
    for (const [name, { shape }] of this.tensors) {
      const [columns, rows] = axesOf(name).axes;
      if (shape.length < 2 || !isCounted(name) || (columns !== axis && rows !== axis)) continue;
      const length = columns === axis ? shape[0]! : rowCount(shape);
      if (sums.length === 0) sums = new Float64Array(length);
      this.weights.get(name)!.forEach((weight, i) => {
        sums[columns === axis ? i % shape[0]! : Math.floor(i / shape[0]!)]! += weight * weight;
      });
    }
    return sums;
  }
}

function gathered({ name, shape }: LazyTensor, weights: Float32Array, { rows, columns }: Kept): LazyTensor {
  const length = shape[0]!;
  const rowsKept = rows ?? span(0, rowCount(shape));
  const columnsKept = columns ?? span(0, length);
  const lengths = shape.length > 1 ? [columnsKept.length, rowsKept.length] : [columnsKept.length];
  return {
    name,
    shape: lengths,
    type: "f32",
    sizeBytes: tensorSizeBytes("f32", lengths),
    readRows: async (start, count) => {
      const part = rowsKept.slice(start, start + count);
      return new Uint8Array(
        Float32Array.from(part.flatMap((row) => columnsKept.map((column) => weights[row * length + column]!))).buffer,
      );
    },
  };
}
