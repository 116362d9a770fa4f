// A progress bar of one line on standard error. It appears when the work has taken two seconds, is redrawn at most ten
// times a second, and stays away where standard error is no terminal (there `--verbose` gets one line per stage).
import type { Progress } from "../support/progress.js";
import { formatBytes, formatCount, formatDuration } from "../support/units.js";

const DELAY_MS = 2000;
const INTERVAL_MS = 100;
const BAR_COLUMNS = 24;
const BAR_COLUMNS_MIN = 8; // shorter ones tell nothing

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
    const columns = Math.max(20, (this.#stream.columns || 80) - 1);
    this.#stream.write(`\r\u001b[2K${renderProgress(progress, this.#stage, now, columns)}`);
  }

  /** Takes the bar off the screen. */
  clear(): void {
    if (!this.#isShown) return;
    this.#isShown = false;
    this.#drawnAt = -Infinity;
    this.#stream.write("\r\u001b[2K");
  }
}

/** Stage, share, result, bar, amounts, rate, time left, item. Where the line is short the item goes first, then the bar. */
function renderProgress(progress: Progress, stage: Stage, now: number, columns: number): string {
  const share = progress.total ? Math.min(1, progress.done / progress.total) : undefined;
  const stageAndShare =
    share === undefined ? progress.stage : `${progress.stage}  ${`${Math.floor(share * 100)}%`.padStart(4)}`;
  const before = progress.result ? `${stageAndShare}  ${progress.result}` : stageAndShare;
  const after = [amounts(progress), ...pace(progress, stage, now)].join("  ");
  const barColumns = Math.min(BAR_COLUMNS, columns - before.length - after.length - 4);
  const parts = [before, after];
  if (share !== undefined && barColumns >= BAR_COLUMNS_MIN) {
    const full = Math.round(share * barColumns);
    parts.splice(1, 0, "█".repeat(full) + "░".repeat(barColumns - full));
  }
  if (progress.detail) parts.push(progress.detail);
  return [...parts.join("  ")].slice(0, columns).join("");
}

function amounts({ done, total, unit }: Progress): string {
  const format = unit === "bytes" ? formatBytes : formatCount;
  const amount = total ? `${format(done)} of ${format(total)}` : format(done);
  return unit === "bytes" ? amount : `${amount} ${unit}`;
}

/** Rate and time left, since the stage began. */
function pace({ done, total, unit }: Progress, stage: Stage, now: number): string[] {
  const seconds = (now - stage.startedAt) / 1000;
  const rate = seconds > 0 ? (done - stage.doneAtStart) / seconds : 0;
  if (rate <= 0) return [];
  const speed = `${unit === "bytes" ? formatBytes(rate) : formatRate(rate)}/s`;
  return total ? [speed, `${formatDuration(((total - done) / rate) * 1000)} left`] : [speed];
}

function formatRate(rate: number): string {
  return rate >= 100 ? formatCount(rate) : rate.toPrecision(2);
}
