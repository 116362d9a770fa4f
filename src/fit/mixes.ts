// Quantization to any size as candidates: mixes of types, chosen for a size from one table of measurements and rounded for a
// text, as `pare quantize --size --calibrate` makes them. What can't fit is never measured, and a mix is made when the search
// asks for it. The text is one that is given, or the calibration part of the evidence: never what candidates are judged by.
import { UsageError } from "../errors.js";
import { sha256 } from "../support/files.js";
import type { RunOptions } from "../support/progress.js";
import { formatCount } from "../support/units.js";
import { type CalibrationSources, readCalibrationSources } from "./allocate/calibration-sources.js";
import { measureForSizes } from "./allocate/measure-for-sizes.js";
import type { Measurements } from "./allocate/measurement-schema.js";
import { type CalibratedResult, quantizeCalibrated } from "./allocate/quantize-calibrated.js";
import { solveMix } from "./allocate/solve-mix.js";
import { calibrationWindow } from "./calibration-window.js";
import { type BaseModel, type CandidateOptions, type PlannedCandidate, mixed, sketched } from "./candidates.js";
import type { Certificate } from "./certificate.js";
import { evidenceLeak } from "./evidence-leak.js";
import type { Journal } from "./journal.js";
import { type MixSize, mixSizes } from "./mix-sizes.js";
import type { FitRequest } from "./request.js";
import type { Workspace } from "./workspace.js";
import type { Yardstick } from "./yardstick.js";

/** How much time each mix takes to round. */
export const EFFORT = "default";
/** The calibration part of the evidence, where mixes were made from it: beside the recipe that uses it. */
export const CALIBRATION_FILE = "mix-calibration.txt";
/** Where no text is given. */
export const CALIBRATION_PART = "calibration part";
/** Of what candidates are judged by, so much makes it the same text. */
const SAME_SHARE = 0.9;

/** A text as mixes of a model are made from it. */
export interface MixText {
  /** As given; or the calibration part, which lies in the workspace. */
  files: readonly string[];
  isGiven: boolean;
  texts: CalibrationSources["texts"];
  contextLength: number;
  parseSpecial: boolean;
}

export interface MixSetup {
  request: Pick<FitRequest, "calibrate" | "sizes" | "threads">;
  bases: readonly BaseModel[];
  yardstick: Yardstick;
  workspace: Workspace;
  journal: Journal;
}

/** The mixes of a fit: planned at once, made one by one. */
export class Mixes {
  readonly #setup: MixSetup;
  /** By base model. */
  readonly #texts = new Map<BaseModel, MixText>();
  readonly #tables = new Map<BaseModel, Measurements>();
  /** What people should know of them, as sentences without a full stop. */
  readonly notes: string[] = [];

  constructor(setup: MixSetup) {
    this.#setup = setup;
  }

  /** True where the request asks for them. */
  get areWanted(): boolean {
    const { calibrate, sizes } = this.#setup.request;
    return (calibrate ?? sizes) !== undefined;
  }

  /**
   * Every size of every model; of those that fit, with the types that the measurements choose.
   *
   * @throws {UsageError} when a size can't be reached, or the text is all that candidates are judged by
   * @throws {PareError} when the text is too short
   */
  async plan(terms: CandidateOptions, options: RunOptions): Promise<PlannedCandidate[]> {
    if (!this.areWanted) return [];
    const { bases, request } = this.#setup;
    const sizes = await mixSizes(
      bases.map(({ model }) => model),
      request.sizes,
    );
    const planned: PlannedCandidate[] = [];
    for (const [i, base] of bases.entries()) planned.push(...(await this.#planFor(base, sizes[i]!, terms, options)));
    return planned;
  }

  /** Writes a mix. The same candidate gives the same bytes each time. */
  async write(
    { base, mix }: PlannedCandidate,
    output: string,
    { signal, onProgress }: RunOptions,
  ): Promise<CalibratedResult> {
    const { workspace, request } = this.#setup;
    const text = this.textOf(base);
    const measured = JSON.stringify(this.#tables.get(base));
    const table = await workspace.text(`measurements-${base.sha256.slice(0, 12)}.json`, measured);
    return quantizeCalibrated(
      {
        input: base.path,
        output,
        size: `${mix!.fileBytes}B`,
        calibrate: text.files,
        contextLength: text.contextLength,
        parseSpecial: text.parseSpecial,
        effort: EFFORT,
        table,
        threads: request.threads,
      },
      { signal, onProgress },
    );
  }

  /** What mixes of a model are made from. */
  textOf(base: BaseModel): MixText {
    return this.#texts.get(base)!;
  }

  /** What was done to a candidate, as a certificate states it. */
  recipeOf({ base, mix }: PlannedCandidate): Record<string, unknown> {
    const { texts, isGiven, contextLength, parseSpecial } = this.textOf(base);
    const files = texts.map(({ path, sha256 }) => ({ file: isGiven ? path : CALIBRATION_FILE, sha256 }));
    return { quantize: { size: mix!.size, calibrate: { texts: files, contextLength, parseSpecial, effort: EFFORT } } };
  }

  /** The text that mixes of a model are made from, and how much of it. */
  calibrationOf(base: BaseModel): Certificate["calibration"] {
    const { isGiven, files } = this.textOf(base);
    const { windows, contextLength } = this.#tables.get(base)!.calibration;
    return { source: isGiven ? files.join(", ") : CALIBRATION_PART, tokens: windows * contextLength };
  }

  async #readText(base: BaseModel): Promise<MixText> {
    const { request, yardstick, workspace } = this.#setup;
    const name = `calibration-${base.sha256.slice(0, 12)}.txt`;
    const files = request.calibrate ?? [await workspace.text(name, yardstick.calibrationText(base))];
    const { texts, statistics } = await readCalibrationSources(files);
    if (statistics) {
      throw new UsageError(`"${statistics.path}" holds statistics, a text is wanted`, {
        hint: "A fit measures which types serve best, which takes the text itself; importance data go with --imatrix",
      });
    }
    const characters = texts.reduce((sum, { text }) => sum + text.length, 0);
    return {
      files,
      isGiven: request.calibrate !== undefined,
      texts,
      contextLength: calibrationWindow(characters, base.model.spec.contextLength),
      parseSpecial: yardstick.kind === "cases",
    };
  }

  async #planFor(
    base: BaseModel,
    sizes: readonly MixSize[],
    terms: CandidateOptions,
    options: RunOptions,
  ): Promise<PlannedCandidate[]> {
    const text = await this.#readText(base);
    this.#texts.set(base, text);
    this.#lookForLeaks(text);
    const calibration = sha256(JSON.stringify(text.texts.map((one) => one.sha256)));
    const sketches = sizes.map((size) => sketched(base, { ...size, calibration }, terms));
    const [feasible, others] = [
      sketches.filter(({ misfit }) => misfit === undefined),
      sketches.filter(({ misfit }) => misfit !== undefined),
    ];
    if (feasible.length === 0) return others;
    const { tensors } = await this.#measure(base, text, feasible[0]!.mix!.fileBytes, options);
    const mixes: PlannedCandidate[] = [];
    for (const { mix } of feasible) {
      const goal = { fileBytes: mix!.fileBytes };
      const solved = await solveMix(base.model, tensors, { goal, pins: [], minimize: "size", effort: EFFORT });
      const isNew = mixes.at(-1)?.sizeBytes !== solved.sizeBytes; // larger types may not exist for its rows
      if (isNew) mixes.push(mixed(base, mix!, solved, terms));
    }
    return [...mixes, ...others];
  }

  /** Once for all sizes, also across restarts. */
  async #measure(base: BaseModel, text: MixText, smallestBytes: number, options: RunOptions): Promise<Measurements> {
    const { journal, request } = this.#setup;
    const { files, contextLength, parseSpecial } = text;
    const table = await journal.step(`sizes:${base.sha256}`, () =>
      measureForSizes(
        {
          model: base.model,
          sha256: base.sha256,
          smallestBytes,
          calibrate: files,
          contextLength,
          parseSpecial,
          effort: EFFORT,
          threads: request.threads,
        },
        options,
      ),
    );
    this.#tables.set(base, table);
    this.#noteShortText(base, table);
    return table;
  }

  /** A text that holds what candidates are judged by would flatter them, and be no proof. */
  #lookForLeaks({ isGiven, texts }: MixText): void {
    if (!isGiven) return;
    const judged = this.#setup.yardstick.judgedPassages();
    const { found, passages } = evidenceLeak(
      judged,
      texts.map(({ text }) => text),
    );
    if (found === 0) return;
    if (found >= SAME_SHARE * passages) {
      throw new UsageError("The text to calibrate on holds what candidates are judged by", {
        hint: "Name another text, or give sizes alone with --size: then mixes are calibrated on a part that judges nothing",
      });
    }
    this.notes.push(
      `${found} of ${passages} passages that candidates are judged by stand in the text that mixes are calibrated on, which flatters them`,
    );
  }

  #noteShortText({ model, name }: BaseModel, { calibration }: Measurements): void {
    const tokens = calibration.windows * calibration.contextLength;
    const widest = Math.max(
      ...[...model.tensors.values()].filter(({ shape }) => shape.length > 1).map(({ shape }) => shape[0]!),
    );
    if (tokens >= widest) return;
    this.notes.push(
      `The text that mixes of "${name}" are calibrated on has ${formatCount(tokens)} tokens, fewer than the ${formatCount(widest)} inputs of its widest layer: more text would round them better`,
    );
  }
}
