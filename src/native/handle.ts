// Native memory has one owner: a handle that frees it once, through `using`. Use after free throws instead of reading
// somebody else's bytes, and the count of live handles lets a test see a leak.

let live = 0;

/** Handles that own native memory now. */
export function liveHandles(): number {
  return live;
}

/** Base of every object that owns a native pointer. */
export abstract class NativeHandle implements Disposable {
  #pointer: bigint | undefined;
  readonly #free: (pointer: bigint) => void;

  protected constructor(pointer: bigint, free: (pointer: bigint) => void) {
    this.#pointer = pointer;
    this.#free = free;
    live++;
  }

  /** @throws {Error} after the handle was disposed of */
  get pointer(): bigint {
    if (this.#pointer === undefined) throw new Error(`${this.constructor.name} was used after it was freed`);
    return this.#pointer;
  }

  get isFreed(): boolean {
    return this.#pointer === undefined;
  }

  [Symbol.dispose](): void {
    if (this.#pointer === undefined) return;
    const pointer = this.#pointer;
    this.#pointer = undefined;
    live--;
    this.#free(pointer);
  }
}
