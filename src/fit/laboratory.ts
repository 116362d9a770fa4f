// Where evidence is bought: every measurement once, through the journal, within the budget, each in a child process of its
// own. A candidate that the engine can't run is a result too.
import { existsSync } from "node:fs";

import { calibrate } from "../calibrate/calibrate.js";
import { EngineError, messageOf } from "../errors.js";
import type { Load } from "../cost/cost.js";
import { isolate } from "../native/isolate.js";
import { sha256 } from "../support/files.js";
import { optional } from "../support/optional.js";
import type { RunOptions } from "../support/progress.js";
import { calibrationWindow } from "./calibration-window.js";
import type { BaseModel, PlannedCandidate } from "./candidates.js";
import type { Quality } from "./certificate.js";
import type { EvidencePlan } from "./evidence-plan.js";
import type { Journal } from "./journal.js";
import { renderHeard } from "./judge-record.js";
import { type DecodeMeasurement, type ProductSpeeds, decodeWork, productKey, productsOf } from "./decode-model.js";
import { measureLoad } from "./measure-load.js";
import { type SpeedResult, measureSpeed } from "./measure-speed.js";
import type { Mixes } from "./mixes.js";
import type { ProductsRequest } from "./products.job.js";
import type { FitRequest } from "./request.js";
import type { Measurements, SearchOutcome } from "./search.js";
import { workloadOf } from "./terms.js";
import { type Workspace, writeCandidate } from "./workspace.js";
import {
  type Measurement,
  type MeasureOptions,
  NothingToKeep,
  type Part,
  type Purpose,
  type Screening,
  type TrialOptions,
  type Yardstick,
} from "./yardstick.js";

export interface LaboratorySetup {
  request: FitRequest;
  bases: readonly BaseModel[];
  yardstick: Yardstick;
  workspace: Workspace;
  journal: Journal;
  plan: EvidencePlan;
  mixes: Mixes;
  contextLength: number;
}

/** Speed on this machine. */
export type MeasuredSpeed = Pick<SpeedResult, "decodeTokensPerSecond" | "prefillTokensPerSecond" | "memory" | "energy">;

type Attempt<T> = { value: T } | { error: string };

/** Models whose speed is measured besides baseline and winner, to calibrate the prediction on. */
const SPEED_SAMPLES = 3;
/** Tokens of the speed test. */
const SPEED_TEST = { promptTokens: 128, decodeTokens: 32, repeats: 3 };
/** No round of requests starts after so many seconds. */
const LOAD_SECONDS = 3;

export class Laboratory implements Measurements {
  readonly #setup: LaboratorySetup;
  readonly #options: RunOptions;
  /** By candidate; the baseline's under `baseline`. */
  readonly speeds = new Map<string, MeasuredSpeed & { made: PlannedCandidate["made"] }>();
  /** Latencies under concurrency, by the same names. */
  readonly loads = new Map<string, Load[]>();
  /** Of the products of all candidates, where their speed here is wanted. */
  productSpeeds: ProductSpeeds = new Map();
  readonly errors = new Map<PlannedCandidate, string>();
  readonly seconds = new Map<PlannedCandidate, number>();
  /** What trials by cases were judged from, in the order of the trials. */
  readonly trials: { candidate: PlannedCandidate; part: Part; measurement: Measurement }[] = [];
  /** Set when a measurement was refused because the budget was spent. */
  isBudgetSpent = false;
  /** Set when the baseline scored 0 where a candidate was to be measured. */
  nothingToKeep: NothingToKeep | undefined;

  constructor(setup: LaboratorySetup, options: RunOptions) {
    this.#setup = setup;
    this.#options = options;
  }

  get evaluationsUsed(): number {
    return this.#setup.journal.count("measure:");
  }

  /** What judges at endpoints said, as lines to keep; undefined where there was none. */
  get heard(): string | undefined {
    return renderHeard(this.#setup.yardstick.judges, this.#setup.journal);
  }

  get secondsUsed(): number {
    return this.#setup.journal.secondsUsed;
  }

  async screen(candidate: PlannedCandidate): Promise<Screening | undefined> {
    const { yardstick, plan } = this.#setup;
    return this.#measure(candidate, "screening", plan.screenSize, (path, options) =>
      yardstick.screen(path, plan.screenSize, options),
    );
  }

  async measure(candidate: PlannedCandidate, part: Part): Promise<Quality | "error" | undefined> {
    const { yardstick, plan } = this.#setup;
    const size = part === "selection" ? plan.selectionSize : plan.confirmationSize;
    if (this.nothingToKeep) return undefined;
    const measurement = await this.#measure(candidate, part, size, (path, options) =>
      yardstick.measure(path, part, size, options),
    ).catch((error: unknown) => {
      if (!(error instanceof NothingToKeep)) throw error;
      this.nothingToKeep = error;
      return undefined;
    });
    if (!measurement) return this.errors.has(candidate) ? "error" : undefined;
    yardstick.learn(measurement);
    this.trials.push({ candidate, part, measurement });
    return measurement.quality;
  }

  /** What the baseline itself scores on a part, as far as that was measured. */
  async baselineQuality(part: Part): Promise<Quality | undefined> {
    const { plan, journal, yardstick } = this.#setup;
    if (!yardstick.isBaselineFirst(part)) {
      return this.trials.findLast((trial) => trial.part === part)?.measurement.baseline;
    }
    const size = part === "selection" ? plan.selectionSize : plan.confirmationSize;
    return journal.has(`measure:baseline:${part}:${size}`) ? this.#baseline(part, size) : undefined;
  }

  /** Speed of the baseline, of the winner, and of a few more over the range of sizes, to see how well prediction works. */
  async measureSpeeds(outcome: SearchOutcome): Promise<void> {
    const { journal, bases, request } = this.#setup;
    const { winner } = outcome;
    await this.#measureSpeed("baseline", bases[0]!.path, bases[0]!.model);
    const bySize = [...outcome.screened.keys()]
      .filter(({ isBaseline }) => !isBaseline)
      .sort((a, b) => a.bytesTouchedPerToken - b.bytesTouchedPerToken);
    const samples = new Set([
      winner,
      ...Array.from(
        { length: SPEED_SAMPLES },
        (_, i) => bySize[Math.round((i * (bySize.length - 1)) / (SPEED_SAMPLES - 1))],
      ),
    ]);
    for (const candidate of samples) {
      if (!candidate || candidate.isBaseline || this.errors.has(candidate)) continue;
      if (candidate !== winner && this.#isSpent() && !journal.has(`speed:${candidate.id}`)) continue;
      await this.#measureSpeed(candidate.id, candidate, candidate.made);
    }
    if (request.device !== "this") return; // what others do is predicted from their specification
    await this.#measureLoad("baseline", bases[0]!.path);
    if (winner && !winner.isBaseline) await this.#measureLoad(winner.id, winner);
  }

  /** Times the matrix products of candidates, so that the speed of those that were not run can be predicted. */
  async measureProducts(candidates: readonly PlannedCandidate[]): Promise<void> {
    const { journal, request, bases } = this.#setup;
    const measured = [bases[0]!.model, ...[...this.speeds.values()].map(({ made }) => made)];
    const wanted = this.#isSpent() ? measured : [...measured, ...candidates.map(({ made }) => made)];
    const kinds = new Map(wanted.flatMap((made) => productsOf(made).map((kind) => [productKey(kind), kind])));
    const speeds = await journal.step(`products:${sha256([...kinds.keys()].join()).slice(0, 12)}`, () =>
      isolate<ProductsRequest, [string, number][]>(
        "fit/products.job",
        { kinds: [...kinds.values()], threads: request.threads },
        { ...this.#running("timing", "matrix products"), what: "timing matrix products" },
      ),
    );
    this.productSpeeds = new Map(speeds);
  }

  /** What the speed prediction is calibrated on. */
  decodeMeasurements(): DecodeMeasurement[] {
    return [...this.speeds.values()].flatMap(({ made, decodeTokensPerSecond }) => {
      const work = decodeWork(made, this.productSpeeds, SPEED_TEST.decodeTokens / 2);
      return work ? [{ ...work, decodeTokensPerSecond }] : [];
    });
  }

  speedOf(candidate: PlannedCandidate): MeasuredSpeed | undefined {
    return this.speeds.get(nameOf(candidate));
  }

  loadsOf(candidate: PlannedCandidate): Load[] | undefined {
    return this.loads.get(nameOf(candidate));
  }

  /** Importance data of a base model: given, or collected from the calibration part. */
  async importance(base: BaseModel): Promise<string> {
    const { request, workspace, yardstick, journal } = this.#setup;
    if (request.importance) return request.importance;
    const path = workspace.path(`importance-${base.sha256.slice(0, 12)}.gguf`);
    const work = async (): Promise<{ tokens: number }> => {
      const text = yardstick.calibrationText(base);
      const { tokens } = await calibrate(
        {
          model: base.path,
          texts: [text], // without a path: the written model must not depend on where the text lay
          contextLength: calibrationWindow(text.length, base.model.spec.contextLength),
          parseSpecial: yardstick.kind === "cases",
          threads: request.threads,
          output: path,
        },
        this.#running("calibrating", base.path),
      );
      return { tokens };
    };
    this.calibrationTokens = (await journal.step(`calibrate:${base.sha256}`, work)).tokens;
    if (!existsSync(path)) await work(); // the folder was tidied since
    return path;
  }

  calibrationTokens = 0;

  /** A candidate's file, made when it is not there. */
  async fileOf(candidate: PlannedCandidate): Promise<string> {
    if (candidate.quantize) await this.importance(candidate.base);
    return this.#setup.workspace.candidateFile(candidate, (path) => this.write(candidate, path));
  }

  /** Writes a candidate to a path. The same candidate gives the same bytes each time. */
  async write(candidate: PlannedCandidate, path: string): Promise<void> {
    const { mixes, request } = this.#setup;
    const running = this.#running("quantizing", candidate.name);
    if (candidate.mix) await mixes.write(candidate, path, running);
    else await writeCandidate(candidate, path, await this.importance(candidate.base), request.threads, running);
  }

  /** The mixes among the candidates. */
  get mixes(): Mixes {
    return this.#setup.mixes;
  }

  async #measure<T>(
    candidate: PlannedCandidate,
    purpose: Purpose,
    size: number,
    work: (path: string, options: TrialOptions) => Promise<T>,
  ): Promise<T | undefined> {
    const { journal, yardstick } = this.#setup;
    const key = `measure:${candidate.id}:${purpose}:${size}`;
    if (!journal.has(key) && this.#isSpent(BUDGET_ENDS[purpose])) {
      if (purpose !== "screening") this.isBudgetSpent = true; // less screening is part of the plan
      return undefined;
    }
    const reference = purpose === "screening" ? candidate.base : undefined; // divergence is from a model's own original
    if (yardstick.isBaselineFirst(purpose)) await this.#baseline(purpose, size, reference);
    const start = performance.now();
    const attempt = await journal.step(key, () =>
      this.#attempt(async () =>
        work(await this.fileOf(candidate), {
          ...this.#running(VERBS[purpose], candidate.name),
          ...optional("reference", reference),
          candidate: candidate.id,
          remember: (step, run) => journal.step(`cases:${candidate.id}:${purpose}:${step}`, run),
        }),
      ),
    );
    this.seconds.set(candidate, (this.seconds.get(candidate) ?? 0) + (performance.now() - start) / 1000);
    if ("value" in attempt) return attempt.value;
    this.errors.set(candidate, attempt.error);
    return undefined;
  }

  /** Measures the baseline for a purpose. Its figures are in the journal, its logits in a file that may have been tidied away. */
  async #baseline(purpose: Purpose, size: number, reference: BaseModel = this.#setup.bases[0]!): Promise<Quality> {
    const { journal, yardstick, bases } = this.#setup;
    const isOther = reference !== bases[0];
    const options = { ...this.#running(VERBS[purpose], isOther ? reference.path : "the baseline"), reference };
    const prepare = (): Promise<Quality> => yardstick.prepare(purpose, size, options);
    const name = isOther ? `baseline-${reference.sha256.slice(0, 12)}` : "baseline";
    const quality = await journal.step(`measure:${name}:${purpose}:${size}`, prepare);
    if (!yardstick.isPrepared(purpose, size, options)) await prepare();
    return quality;
  }

  async #measureSpeed(name: string, model: string | PlannedCandidate, made: PlannedCandidate["made"]): Promise<void> {
    const { journal, request } = this.#setup;
    const attempt = await journal.step(`speed:${name}`, () =>
      this.#attempt(async (): Promise<MeasuredSpeed> => {
        const path = typeof model === "string" ? model : await this.fileOf(model);
        const { decodeTokensPerSecond, prefillTokensPerSecond, memory, energy } = await measureSpeed(
          { model: path, ...SPEED_TEST, threads: request.threads, meterEnergy: request.device === "this" },
          this.#running("timing", name),
        );
        return { decodeTokensPerSecond, prefillTokensPerSecond, memory, ...optional("energy", energy) };
      }),
    );
    if ("value" in attempt) this.speeds.set(name, { ...attempt.value, made });
  }

  async #measureLoad(name: string, model: string | PlannedCandidate): Promise<void> {
    const { journal, request, contextLength } = this.#setup;
    const { concurrency, promptTokens, answerTokens } = workloadOf(request, contextLength);
    if (this.#isSpent() && !journal.has(`load:${name}`)) return;
    const attempt = await journal.step(`load:${name}`, () =>
      this.#attempt(async () =>
        measureLoad(
          {
            model: typeof model === "string" ? model : await this.fileOf(model),
            concurrencies: [...new Set([1, concurrency])],
            promptTokens,
            answerTokens,
            threads: request.threads,
            secondsMax: LOAD_SECONDS,
          },
          this.#running("timing", name),
        ),
      ),
    );
    if ("value" in attempt) this.loads.set(name, attempt.value);
  }

  /**
   * An engine that refuses or crashes on a candidate is a finding about it. An abort, a full disk, too little memory or a
   * request that can't be meant are not: they end the fit, nothing is noted, and the next run tries again.
   */
  async #attempt<T>(work: () => Promise<T>): Promise<Attempt<T>> {
    try {
      return { value: await work() };
    } catch (error) {
      this.#options.signal?.throwIfAborted();
      if (!(error instanceof EngineError)) throw error;
      return { error: messageOf(error) };
    }
  }

  /** @param share of the budget's time that may be gone */
  #isSpent(share = 1): boolean {
    const { request } = this.#setup;
    return this.secondsUsed >= request.budget * share || this.evaluationsUsed >= request.evaluations;
  }

  /** Options for one step: its progress is one count in the fit's own. */
  #running(stage: string, detail: string): MeasureOptions {
    const { plan } = this.#setup;
    const total = plan.screens + plan.selections + 2 * plan.mixTries + plan.confirmations + 3;
    const report = (): void =>
      this.#options.onProgress?.({
        stage,
        done: Math.min(this.evaluationsUsed, total),
        total,
        unit: "measurements",
        detail,
      });
    report();
    return {
      signal: this.#options.signal,
      onProgress: report,
      folder: this.#setup.workspace.folder,
      threads: this.#setup.request.threads,
    };
  }
}

/**
 * Share of the budget's time after which nothing more of a kind is bought. A machine that is slower than planned screens
 * less, instead of having nothing left to confirm with.
 */
const BUDGET_ENDS = { screening: 0.45, selection: 0.75, confirmation: 1 } as const;

const VERBS = { screening: "screening", selection: "selecting", confirmation: "confirming" } as const;

function nameOf({ isBaseline, id }: PlannedCandidate): string {
  return isBaseline ? "baseline" : id;
}
