// Looking at the tensors of a running graph, through llama.cpp's `cb_eval`. The callback runs inside a native frame: an
// exception there would kill the process, so it is caught, the graph is stopped, and the error is thrown again outside.
import koffi from "koffi";

import { STRUCTS } from "./abi.gen.js";
import { type Engine, viewBytes } from "./engine.js";
import { ggmlTypeInfo } from "./ggml.js";

const TENSOR_BYTES = STRUCTS.ggml_tensor.sizeBytes;
const OFFSET = Object.fromEntries(STRUCTS.ggml_tensor.fields.map(([field, , offset]) => [field, offset])) as Record<
  (typeof STRUCTS.ggml_tensor.fields)[number][0],
  number
>;
const NAME_BYTES = 64; // GGML_MAX_NAME

/** One tensor of a graph; valid only inside the callback that it was handed to. */
export class TensorView {
  readonly pointer: bigint;
  readonly #engine: Engine;
  readonly #fields: DataView;

  constructor(engine: Engine, pointer: bigint) {
    this.#engine = engine;
    this.pointer = pointer;
    this.#fields = new DataView(viewBytes(pointer, TENSOR_BYTES));
  }

  /** ggml's name of the operation, such as `MUL_MAT`. */
  get op(): string {
    return opName(this.#engine, this.#fields.getInt32(OFFSET.op, true));
  }

  get name(): string {
    const bytes = new Uint8Array(this.#fields.buffer, OFFSET.name, NAME_BYTES);
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(bytes.subarray(0, end < 0 ? NAME_BYTES : end));
  }

  /** ggml's spelling of the type. */
  get type(): string {
    return ggmlTypeInfo(this.#engine, this.#fields.getInt32(OFFSET.type, true)).name;
  }

  /** [ne0, ne1, ne2, ne3]. */
  get shape(): [number, number, number, number] {
    return this.#four(OFFSET.ne);
  }

  /** Bytes from one element to the next along each dimension. */
  get strides(): [number, number, number, number] {
    return this.#four(OFFSET.nb);
  }

  get isContiguous(): boolean {
    return this.#engine.ggml.ggml_is_contiguous(this.pointer);
  }

  /** Address of the data; in host memory when `isOnHost`. */
  get data(): bigint {
    return this.#fields.getBigUint64(OFFSET.data, true);
  }

  get isOnHost(): boolean {
    const buffer = this.#fields.getBigUint64(OFFSET.buffer, true);
    return buffer === 0n || this.#engine.ggml.ggml_backend_buffer_is_host(buffer);
  }

  /** The i-th operand, or undefined. For `MUL_MAT`: 0 is the weight, 1 the input. */
  source(index: number): TensorView | undefined {
    const pointer = this.#fields.getBigUint64(OFFSET.src + index * 8, true);
    return pointer === 0n ? undefined : new TensorView(this.#engine, pointer);
  }

  /** The tensor's memory as it lies, without a copy where it is on the host; read-only, valid inside the callback. */
  bytes(): Uint8Array {
    const length = this.#engine.ggml.ggml_nbytes(this.pointer);
    if (this.isOnHost) return new Uint8Array(viewBytes(this.data, length));
    const copy = new Uint8Array(length);
    this.#engine.ggml.ggml_backend_tensor_get(this.pointer, copy, 0, length);
    return copy;
  }

  /** `bytes()` as floats. @throws {TypeError} when the tensor is not f32 */
  floats(): Float32Array {
    if (this.type !== "f32") throw new TypeError(`Tensor "${this.name}" is ${this.type}, not f32`);
    const bytes = this.bytes();
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }

  /** `bytes()` as 32-bit integers, for ids. */
  integers(): Int32Array {
    const bytes = this.bytes();
    return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }

  #four(offset: number): [number, number, number, number] {
    const at = (i: number): number => Number(this.#fields.getBigInt64(offset + i * 8, true));
    return [at(0), at(1), at(2), at(3)];
  }
}

/**
 * What to look at. `wants` is asked for every node and must be cheap; `sees` gets the node after it was computed, and
 * ends the graph there when it answers false: the decode succeeds, and what comes later is not computed.
 */
export interface Observer {
  wants(tensor: TensorView): boolean;
  sees(tensor: TensorView): boolean | void;
}

/** An observer made callable from C. Dispose of it after the context that uses it. */
export class ObserverCallback implements Disposable {
  readonly pointer: bigint;
  #error: unknown;
  #failed = false;

  constructor(engine: Engine, observer: Observer) {
    callbackType ??= koffi.proto("bool GraphObserver(void *tensor, bool ask, void *user_data)");
    this.pointer = koffi.register((pointer: bigint, ask: boolean): boolean => {
      if (this.#failed) return false;
      try {
        const tensor = new TensorView(engine, pointer);
        if (ask) return observer.wants(tensor);
        return observer.sees(tensor) !== false;
      } catch (error) {
        this.#failed = true;
        this.#error = error;
        return false;
      }
    }, koffi.pointer(callbackType));
  }

  /** Throws what the observer threw during the last graph. */
  rethrow(): void {
    if (!this.#failed) return;
    this.#failed = false;
    throw this.#error;
  }

  [Symbol.dispose](): void {
    koffi.unregister(this.pointer);
  }
}

let callbackType: ReturnType<typeof koffi.proto> | undefined;

const opNames = new Map<number, string>();

function opName(engine: Engine, op: number): string {
  let name = opNames.get(op);
  if (name === undefined) {
    name = engine.ggml.ggml_op_name(op) ?? "";
    opNames.set(op, name);
  }
  return name;
}
