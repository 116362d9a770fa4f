// How long work tells of itself. A library caller passes `onProgress`; the command line draws a bar from it.

/** One step of some work. `total` is absent while it is not known. */
export interface Progress {
  /** What is being done, as a short phrase: `quantizing`, `calibrating`. */
  stage: string;
  done: number;
  total?: number;
  /** What `done` counts: `tensors`, `tokens`, `bytes`, `cases`, `trials`. */
  unit: string;
  /** What the work has come to so far, such as a loss; shown before everything that can be left out. */
  result?: string;
  /** The item at hand, such as a tensor's name. */
  detail?: string;
}

export type OnProgress = (progress: Progress) => void;

/** What every long-running verb of the library accepts. */
export interface RunOptions {
  signal?: AbortSignal;
  onProgress?: OnProgress;
}
