// Memory is handed out from the bottom up and given back all at once: the host says how much it needs for one matrix.

let top: usize = __heap_base;

/** `size` bytes at a multiple of 16. */
export function allocate(size: usize): usize {
  const start = (top + 15) & ~(<usize>15);
  const end = start + size;
  const pages = <i32>((end + 0xffff) >>> 16) - memory.size();
  if (pages > 0 && memory.grow(pages) < 0) return 0;
  top = end;
  return start;
}

/** What is in use, for `release`. */
export function mark(): usize {
  return top;
}

/** Gives back all that was allocated since `mark` answered `to`. */
export function release(to: usize): void {
  top = to;
}
