// Reads the tensors of a model ahead of whoever writes them: slabs of all tensors in order, several under way at once,
// so that reading, computing and writing overlap, also where one small tensor follows another.
import { type LazyTensor, rowCount } from "../../model/model.js";

/** Weights per slab: large enough to make a native call worth it, small enough that slabs end on time with each other. */
const SLAB_ELEMENTS = 2 ** 19;

interface Slab {
  readonly tensor: LazyTensor;
  readonly start: number;
  readonly count: number;
}

/**
 * Streams of the tensors' bytes. They share one queue, so they must be drained in the order of `tensors`, each to its end.
 *
 * @param ahead slabs under way at once; memory is bounded by so many slabs
 */
export function slabStreams(
  tensors: readonly LazyTensor[],
  ahead: number,
): (index: number) => AsyncIterable<Uint8Array> {
  const queue = readAhead(tensors.flatMap(slabsOf), ahead);
  return async function* stream(index) {
    for (let left = slabsOf(tensors[index]!).length; left > 0; left--) {
      const { value, done } = await queue.next();
      if (done) throw new Error(`Tensor streams were read out of order`);
      yield value;
    }
  };
}

function slabsOf(tensor: LazyTensor): Slab[] {
  const rows = rowCount(tensor.shape);
  const step = Math.max(1, Math.floor(SLAB_ELEMENTS / tensor.shape[0]!));
  return Array.from({ length: Math.ceil(rows / step) }, (_, i) => ({
    tensor,
    start: i * step,
    count: Math.min(step, rows - i * step),
  }));
}

/** Starts reading `ahead` slabs at once and yields them in order. */
async function* readAhead(slabs: readonly Slab[], ahead: number): AsyncGenerator<Uint8Array, void> {
  const underWay: Promise<Uint8Array>[] = [];
  let next = 0;
  while (next < slabs.length || underWay.length > 0) {
    while (underWay.length < ahead && next < slabs.length) {
      const { tensor, start, count } = slabs[next++]!;
      const read = tensor.readRows(start, count);
      read.catch(() => undefined); // reported when its turn comes
      underWay.push(read);
    }
    yield await underWay.shift()!;
  }
}
