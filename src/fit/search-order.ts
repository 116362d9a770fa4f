// In which order to measure: ends first, then halves, so that an early stop has seen the whole range.

/**
 * Indices 0…count-1, the last and the first before the middle, then quarters, and so on (van der Corput's order on a list).
 */
export function endsThenHalves(count: number): number[] {
  if (count <= 0) return [];
  const order = count === 1 ? [0] : [count - 1, 0];
  const queue: [number, number][] = [[0, count - 1]];
  while (queue.length > 0) {
    const [low, high] = queue.shift()!;
    if (high - low < 2) continue;
    const middle = (low + high) >> 1;
    order.push(middle);
    queue.push([low, middle], [middle, high]);
  }
  return order;
}

/**
 * The items that no other beats: nothing is both no dearer and better, or cheaper and no worse.
 *
 * @param cost less is better
 * @param loss less is better
 * @returns by cost, ascending
 */
export function paretoFront<T>(items: readonly T[], cost: (item: T) => number, loss: (item: T) => number): T[] {
  const byCost = [...items].sort((a, b) => cost(a) - cost(b) || loss(a) - loss(b));
  const front: T[] = [];
  let least = Infinity;
  for (const item of byCost) {
    if (loss(item) >= least) continue;
    least = loss(item);
    front.push(item);
  }
  return front;
}
