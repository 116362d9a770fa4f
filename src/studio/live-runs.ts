// Watches journals and tells listeners when a run has changed. Journals are looked at again and again: notifications of file systems
// differ and some have none.
import { stat } from "node:fs/promises";
import { join } from "node:path";

import { findRuns } from "./find-runs.js";
import { type RunPlace, type RunView, isRunningAt, readRun } from "./run-view.js";

const LOOK_MS = 400;

export class LiveRuns implements Disposable {
  readonly #folders: readonly string[];
  readonly #listeners = new Set<(run: RunView) => void>();
  readonly #known = new Map<string, { place: RunPlace; seen: string; view?: RunView }>();
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> | undefined;

  constructor(folders: readonly string[]) {
    this.#folders = folders;
    this.#timer = setInterval(() => void this.look(), LOOK_MS);
    this.#timer.unref();
  }

  /** Every run that has planned something, the newest first. */
  async runs(): Promise<RunView[]> {
    await this.look();
    return [...this.#known.values()].flatMap(({ view }) => (view ? [view] : []));
  }

  place(id: string): RunPlace | undefined {
    return this.#known.get(id)?.place;
  }

  view(id: string): RunView | undefined {
    return this.#known.get(id)?.view;
  }

  /** @returns stops listening */
  listen(listener: (run: RunView) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Looks once; while that goes on, whoever else asks waits for the same look. */
  look(): Promise<void> {
    this.#looking ??= this.#lookOnce().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async #lookOnce(): Promise<void> {
    for (const place of await findRuns(this.#folders)) {
      const seen = await stateOf(place);
      if (this.#known.get(place.id)?.seen === seen) continue;
      const view = await readRun(place);
      this.#known.set(place.id, { place, seen, ...(view ? { view } : {}) });
      if (view) for (const listener of this.#listeners) listener(view);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }
}

/** What changes when a run does. */
async function stateOf(place: RunPlace): Promise<string> {
  const { folder, journal } = place;
  const states = await Promise.all(
    [journal, join(folder, "certificate.json")].map((path) => stat(path).catch(() => undefined)),
  );
  const seen = states.map((found) => (found ? `${found.size} ${found.mtimeMs}` : "none"));
  return [...seen, await isRunningAt(place)].join();
}
