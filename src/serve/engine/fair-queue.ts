// Whose turn it is: of all that wait, the client with the fewest answers under way is served first, and among equals who came
// first. A client that sends a hundred requests at once can't keep another waiting for more than one of them.

export interface Queued {
  readonly client: string;
}

/** Requests that wait, in the order in which they came. */
export class FairQueue<T extends Queued> {
  readonly #waiting = new Set<T>();

  get size(): number {
    return this.#waiting.size;
  }

  add(request: T): void {
    this.#waiting.add(request);
  }

  /** @returns false when it was not there */
  remove(request: T): boolean {
    return this.#waiting.delete(request);
  }

  /**
   * Those who wait, the next first.
   *
   * @param running requests under way
   */
  inTurn(running: Iterable<Queued>): T[] {
    const share = new Map<string, number>();
    for (const { client } of running) share.set(client, (share.get(client) ?? 0) + 1);
    const turns = [...this.#waiting].map((request) => {
      const turn = share.get(request.client) ?? 0;
      share.set(request.client, turn + 1);
      return { request, turn };
    });
    return turns.sort((a, b) => a.turn - b.turn).map(({ request }) => request);
  }
}
