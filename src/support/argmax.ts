// The search that every greedily chosen token waits for. Copying a row of logits to WebAssembly's memory and searching it
// there takes a quarter of the time of the shortest loop in JavaScript.
import { loadKernel } from "./load-kernel.js";

interface ArgmaxKernel {
  readonly memory: WebAssembly.Memory;
  argmax(start: number, count: number): number;
}

let kernel: ArgmaxKernel | undefined;
/** The kernel's whole memory; made anew when the memory has grown. */
let cells = new Float32Array(0);

/** Index of the highest value, the first of equals; a NaN is never higher. 0 where nothing is a number, or nothing at all. */
export function argmax(values: Float32Array): number {
  if (!kernel || values.length > cells.length) kernel = loadWithRoom(values.length);
  cells.set(values);
  return Math.max(0, kernel.argmax(0, values.length));
}

function loadWithRoom(count: number): ArgmaxKernel {
  const loaded = kernel ?? loadKernel<ArgmaxKernel>("argmax");
  const missingBytes = count * 4 - loaded.memory.buffer.byteLength;
  if (missingBytes > 0) loaded.memory.grow(Math.ceil(missingBytes / 65_536));
  cells = new Float32Array(loaded.memory.buffer);
  return loaded;
}

/** The kernel's twin, which the tests compare it to. */
export function argmaxInPlainLoop(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) {
    if (values[i]! > values[best]! || (Number.isNaN(values[best]!) && !Number.isNaN(values[i]!))) best = i;
  }
  return best;
}
