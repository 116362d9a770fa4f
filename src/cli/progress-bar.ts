// A progress bar of one line on standard error. It appears when the work has taken two seconds, is redrawn at most ten
// times a second, and stays away where standard error is no terminal (there `--verbose` gets one line per stage).
import type { Progress } from "../support/progress.js";
import { formatBytes, formatCount, formatDuration } from "../support/units.js";

const DELAY_MS = 2000;
const INTERVAL_MS = 100;
const BAR_COLUMNS = 24;

/** The part of a terminal stream that is drawn on. */
export interface BarStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface BarOptions {
  isQuiet?: boolean;
  isVerbose?: boolean;
  now?: () => number;
}

interface Stage {
  name: string;
  startedAt: number;
  doneAtStart: number;
}

export class ProgressBar {
  readonly #stream: BarStream;
  readonly #now: () => number;
  readonly #mode: "bar" | "lines" | "off";
  readonly #startedAt: number;
  #stage: Stage | undefined;
  #drawnAt = -Infinity;
  #isShown = false;

  constructor(stream: BarStream, options: BarOptions = {}) {
    this.#stream = stream;
    this.#now = options.now ?? (() => performance.now());
    this.#startedAt = this.#now();
    const isTerminal = stream.isTTY === true && process.env["TERM"] !== "dumb";
    this.#mode = options.isQuiet ? "off" : isTerminal ? "bar" : options.isVerbose ? "lines" : "off";
  }

  /** Takes note of progress, and draws it when it is time to. */
  update(progress: Progress): void {
    if (this.#mode === "off") return;
    const now = this.#now();
    if (this.#stage?.name !== progress.stage || progress.done < this.#stage.doneAtStart) {
      if (this.#mode === "lines" && this.#stage?.name !== progress.stage) this.#stream.write(`${progress.stage}\n`);
      this.#stage = { name: progress.stage, startedAt: now, doneAtStart: progress.done };
    }
    if (this.#mode === "lines" || now - this.#startedAt < DELAY_MS || now - this.#drawnAt < INTERVAL_MS) return;
    this.#drawnAt = now;
    this.#isShown = true;
    const columns = Math.max(20, (this.#stream.columns ?? 80) - 1);
    this.#stream.write(`\r\u001b[2K${[...renderProgress(progress, this.#stage, now)].slice(0, columns).join("")}`);
  }

  /** Takes the bar off the screen. */
  clear(): void {
    if (!this.#isShown) return;
    this.#isShown = false;
    this.#drawnAt = -Infinity;
    this.#stream.write("\r\u001b[2K");
  }
}

function renderProgress(progress: Progress, stage: Stage, now: number): string {
  const seconds = (now - stage.startedAt) / 1000;
  const rate = seconds > 0 ? (progress.done - stage.doneAtStart) / seconds : 0;
  const parts = [progress.stage];
  if (progress.total) {
    const share = Math.min(1, progress.done / progress.total);
    const full = Math.round(share * BAR_COLUMNS);
    parts.push("█".repeat(full) + "░".repeat(BAR_COLUMNS - full), `${Math.floor(share * 100)}%`.padStart(4));
  }
  parts.push(amounts(progress));
  if (rate > 0) {
    parts.push(progress.unit === "bytes" ? `${formatBytes(rate)}/s` : `${formatRate(rate)}/s`);
    if (progress.total) parts.push(`${formatDuration(((progress.total - progress.done) / rate) * 1000)} left`);
  }
  if (progress.detail) parts.push(progress.detail);
  return parts.join("  ");
}

function amounts({ done, total, unit }: Progress): string {
  const format = unit === "bytes" ? formatBytes : formatCount;
  const amount = total ? `${format(done)} of ${format(total)}` : format(done);
  return unit === "bytes" ? amount : `${amount} ${unit}`;
}

function formatRate(rate: number): string {
  return rate >= 100 ? formatCount(rate) : rate.toPrecision(2);
}
