// Ctrl-C and `kill`: the work under way is aborted and given a second to stop cleanly; then whatever half-written
// files are left are removed and the process ends with the exit code that shells expect (128 + the signal's number).
import { rmSync } from "node:fs";

import { unfinishedPaths } from "../support/files.js";

const EXIT_CODE = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
const GRACE_MS = 1000;

type Signal = keyof typeof EXIT_CODE;

class Interruption {
  readonly #controller = new AbortController();
  readonly #listeners: (() => boolean)[] = [];
  #received: Signal | undefined;

  /** What whoever interrupts may want to know. */
  hint = "Nothing half-written was left";

  /** Aborted by the first signal that no listener took. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Exit code of the signal that ended the work, if one did. */
  get exitCode(): number | undefined {
    return this.#received && EXIT_CODE[this.#received];
  }

  /** Starts listening for signals. */
  watch(): void {
    for (const name of Object.keys(EXIT_CODE) as Signal[]) process.on(name, () => this.#receive(name));
  }

  /** Lets `listener` take Ctrl-C, as long as it returns true. Returned is what ends that. */
  onInterrupt(listener: () => boolean): Disposable {
    this.#listeners.push(listener);
    return {
      [Symbol.dispose]: () => {
        this.#listeners.splice(this.#listeners.indexOf(listener), 1);
      },
    };
  }

  /**
   * Ends the process without leaving half-written files or children: their jobs end with the signal they were given.
   */
  endNow(exitCode: number): never {
    this.#controller.abort(new DOMException("Interrupted", "AbortError"));
    for (const path of unfinishedPaths()) rmSync(path, { force: true });
    process.exit(exitCode);
  }

  #receive(name: Signal): void {
    if (name === "SIGINT" && !this.#received && this.#listeners.some((listener) => listener())) return;
    const isSecond = this.#received !== undefined;
    this.#received ??= name;
    if (isSecond) this.endNow(EXIT_CODE[name]);
    this.#controller.abort(new DOMException("Interrupted", "AbortError"));
    setTimeout(() => this.endNow(EXIT_CODE[name]), GRACE_MS).unref();
  }
}

/** The one of this process. */
export const interruption = new Interruption();
