// Quality by text: how much of the baseline's perplexity a candidate keeps, window by window on the same tokens.
import { existsSync } from "node:fs";
import { join } from "node:path";

import { evaluateText, tokenizeText } from "../evaluate/text.js";
import type { TextResult } from "../evaluate/text.js";
import { PareError } from "../errors.js";
import { sha256 } from "../support/files.js";
import type { RunOptions } from "../support/progress.js";
import { readText } from "../support/read-text.js";
import type { BaseModel } from "./candidates.js";
import type { Estimate, Quality } from "./certificate.js";
import type { FitRequest } from "./request.js";
import { type Parts, findRepeats, splitText } from "./split.js";
import { requireOneVocabulary } from "./one-vocabulary.js";
import type { Measurement, MeasureOptions, Part, Purpose, Screening, Yardstick } from "./yardstick.js";

/** Tokens per window, the longest first; a short text gets shorter ones so that there are some to compare. */
const WINDOW_LENGTHS = [512, 256, 128, 64, 32];
/** Windows that a part should have, so that an interval between windows means something. */
const WINDOWS_WANTED = 8;
/** Parts of a line, which may be a whole chapter. */
const PASSAGES = /.{1,120}/gu;
/** Fewer give no interval at all. */
const WINDOWS_MIN = 2;

/**
 * Reads the text, splits it, and cuts the parts into windows of the first model's tokens.
 *
 * @param windowMax tokens of a window at most
 */
export async function createTextYardstick(
  request: FitRequest,
  bases: readonly BaseModel[],
  windowMax: number,
  options: RunOptions,
): Promise<Yardstick> {
  requireOneVocabulary(bases, "text");
  const { text, notes } = await readTexts(request.text!, options);
  const base = bases[0]!;
  const parts = splitText(text, request.seed);
  const tokens = {
    calibration: await tokenize(base, parts.calibration, options),
    selection: await tokenize(base, parts.selection, options),
    confirmation: await tokenize(base, parts.confirmation, options),
  };
  const contextLength = windowLength(tokens, base, windowMax);
  return new TextYardstick(base, parts, tokens, contextLength, sha256(text), notes);
}

/** All texts as one. */
async function readTexts(paths: readonly string[], { signal }: RunOptions): Promise<{ text: string; notes: string[] }> {
  const texts = await Promise.all(paths.map((path) => readText(path, signal)));
  const isRepeat = findRepeats(texts);
  return {
    text: texts.filter((_, index) => !isRepeat[index]).join("\n"),
    notes: paths
      .filter((_, index) => isRepeat[index])
      .map((path) => `"${path}" is in another text already, and was left out`),
  };
}

class TextYardstick implements Yardstick {
  readonly kind = "text";
  readonly metric = "perplexityRatio";
  readonly unit = "tokens";
  readonly sizes: Yardstick["sizes"];
  readonly available: Yardstick["available"];
  readonly contextNeeded: number;
  readonly tokensEach: number;
  readonly #parts: Parts<string>;
  readonly sha256: string;
  readonly files = [];
  readonly judges = [];
  readonly #base: BaseModel;
  readonly #tokens: Record<Part, Int32Array>;

  constructor(
    base: BaseModel,
    parts: Parts<string>,
    tokens: Record<Part | "calibration", Int32Array>,
    contextLength: number,
    hash: string,
    readonly notes: readonly string[],
  ) {
    this.#base = base;
    this.#tokens = tokens;
    this.#parts = parts;
    this.contextNeeded = contextLength;
    this.tokensEach = contextLength;
    this.sha256 = hash;
    this.sizes = {
      calibration: tokens.calibration.length,
      selection: tokens.selection.length,
      confirmation: tokens.confirmation.length,
    };
    this.available = { selection: this.#windows("selection"), confirmation: this.#windows("confirmation") };
  }

  async openJudges(): Promise<void> {
    // a text has none
  }

  calibrationText(): string {
    return this.#parts.calibration;
  }

  judgedPassages(): string[] {
    const { selection, confirmation } = this.#parts;
    const lines = `${selection}\n${confirmation}`.split("\n");
    return lines.flatMap((line) => line.match(PASSAGES) ?? []);
  }

  inUnits(size: number): number {
    return size * Math.floor(this.contextNeeded / 2); // the first half of each window is context
  }

  isBaselineFirst(): boolean {
    return true;
  }

  isPrepared(purpose: Purpose, size: number, options: Pick<MeasureOptions, "folder" | "reference">): boolean {
    return existsSync(this.#baselineFile(purpose, size, options));
  }

  async prepare(purpose: Purpose, size: number, options: MeasureOptions): Promise<Quality> {
    const part = purpose === "screening" ? "selection" : purpose;
    const baselineFile = this.#baselineFile(purpose, size, options);
    const path = (options.reference ?? this.#base).path;
    const result = await this.#evaluate(path, part, size, options, { baselineFile });
    return { ...qualityOf(result, part), kept: { mean: 1, low: 1, high: 1 } };
  }

  async screen(modelPath: string, size: number, options: MeasureOptions): Promise<Screening> {
    const against = this.#baselineFile("screening", size, options);
    const { klDivergence, tokens } = await this.#evaluate(modelPath, "selection", size, options, { against });
    return { mean: klDivergence!.mean, standardError: klDivergence!.standardError, tokens };
  }

  async measure(modelPath: string, part: Part, size: number, options: MeasureOptions): Promise<Measurement> {
    const against = this.#baselineFile(part, size, options);
    return { quality: qualityOf(await this.#evaluate(modelPath, part, size, options, { against }), part) };
  }

  /** All candidates are measured on the same windows, whatever came before. */
  learn(): void {}

  #evaluate(
    model: string,
    part: Part,
    size: number,
    options: MeasureOptions,
    file: { against?: string; baselineFile?: string },
  ): Promise<TextResult> {
    return evaluateText(
      {
        model,
        tokens: this.#tokens[part],
        contextLength: this.contextNeeded,
        windows: { start: 0, count: size },
        threads: options.threads,
        ...file,
      },
      { signal: options.signal, onProgress: options.onProgress },
    );
  }

  #windows(part: Part): number {
    return Math.floor(this.#tokens[part].length / this.contextNeeded);
  }

  #baselineFile(
    purpose: Purpose,
    size: number,
    { folder, reference }: Pick<MeasureOptions, "folder" | "reference">,
  ): string {
    const other = reference && reference !== this.#base ? `-${reference.sha256.slice(0, 8)}` : "";
    return join(folder, `baseline-${purpose}-${size}${other}.logits`);
  }
}

/** The parts of a text measurement that the certificate keeps. */
function qualityOf(result: TextResult, part: Part): Quality {
  const { perplexity, perplexityRatio, klDivergence, sameTopRate, tokens } = result;
  return {
    metric: "perplexityRatio",
    part,
    kept: perplexityRatio ?? { mean: 1, low: 0, high: Infinity },
    perplexity: normalInterval(perplexity),
    ...(klDivergence
      ? {
          klDivergence: {
            mean: klDivergence.mean,
            standardError: klDivergence.standardError,
            median: klDivergence.median,
            p99: klDivergence.p99,
          },
        }
      : {}),
    ...(sameTopRate === undefined ? {} : { sameTopRate }),
    tokens,
  };
}

function normalInterval({ mean, standardError }: { mean: number; standardError: number }): Estimate {
  return { mean, low: mean - 1.96 * standardError, high: mean + 1.96 * standardError };
}

function tokenize(base: BaseModel, text: string, options: RunOptions): Promise<Int32Array> {
  return tokenizeText({ model: base.path, texts: [text] }, options);
}

/** The longest window that still gives both measured parts some windows. */
function windowLength(tokens: Record<Part, Int32Array>, base: BaseModel, windowMax: number): number {
  const trained = base.model.spec.contextLength || Infinity;
  const shortest = Math.min(tokens.selection.length, tokens.confirmation.length);
  const lengths = WINDOW_LENGTHS.map((length) => Math.min(length, trained, windowMax));
  const length =
    lengths.find((length) => shortest / length >= WINDOWS_WANTED) ??
    lengths.findLast((length) => shortest / length >= WINDOWS_MIN);
  if (length !== undefined) return length;
  throw new PareError(
    `The text is too short: its smaller part has ${shortest} tokens, ${WINDOWS_MIN} windows of ${lengths.at(-1)} are needed`,
    { hint: "Give a longer text; some 50 kB is a good start" },
  );
}
