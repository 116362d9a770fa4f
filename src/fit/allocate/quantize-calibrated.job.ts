// The child's side of `quantizeCalibrated`: the model in memory, its statistics, the choice of types, the rounding, the file.
import { fastestPrecision } from "../../calibrate/paired-statistics.js";
import type { GgmlType } from "../../formats/gguf/ggml-types.js";
import { writeGguf } from "../../formats/gguf/write.js";
import type { Model } from "../../model/model.js";
import type { JobContext } from "../../native/isolate.js";
import { LlamaModel } from "../../native/llama-model.js";
import { type TypeAssignments, type TypeOverride, assignTypes } from "../../passes/quantize/assign-types.js";
import { type TensorOutcome, outcomes } from "../../passes/quantize/outcome.js";
import { outputMetadata } from "../../passes/quantize/output-metadata.js";
import { parseChoices } from "../../passes/quantize/parse-choices.js";
import type { QuantizeOptions } from "../../passes/quantize/quantize-options.js";
import type { Effort } from "../../passes/quantize/round/problem.js";
import type { CacheBudget, CacheTypes } from "./cache-budget.js";
import { CacheMeter, type MeasuredCache } from "./cache-meter.js";
import { type Bench, measureTypes, probeWindowsOf, withBench } from "./calibration-bench.js";
import { type CalibrationWindows, spread } from "./calibration-windows.js";
import { candidateTypes } from "./candidate-types.js";
import { type CacheOutcome, chooseCache } from "./choose-cache.js";
import { requireRoom } from "./device-memory.js";
import { EFFORTS, driftGroupsOf, recoveryStepsOf } from "./effort.js";
import type { Measurements } from "./measurement-schema.js";
import type { MethodPart } from "../../passes/quantize/method-parts.js";
import { type Finish, finishMix } from "./finish-mix.js";
import { evenMeasurements } from "./even-measurements.js";
import { factsOfFile } from "./facts-of-file.js";
import { openFinishedInputs } from "./finished-inputs.js";
import { mixLabel } from "./mix-label.js";
import { RankWatch, type WatchedInput, textRemedy } from "./rank-watch.js";
import { pinnedTypes } from "./pinned-types.js";
import { RoundedTensors } from "./rounded-tensors.js";
import { roundByFile } from "./round-by-file.js";
import { roundInOrder } from "./round-in-order.js";
import type { SizeGoal } from "./size-goal.js";
import { type Allocation, reassign, typesOf } from "./allocate.js";
import { improveMix } from "./improve-mix.js";
import { TrialMix } from "./trial-mix.js";
import { openTypes, solveMix } from "./solve-mix.js";
import { WeightLab } from "./weight-lab.js";

export interface CalibratedJobInput {
  input: string;
  output: string;
  texts: string[];
  /** File of finished statistics to round by. */
  statistics?: string | undefined;
  contextLength?: number | undefined;
  parseSpecial: boolean;
  /** Types as a preset gives them; or a size, from which they are chosen; or memory, which the KV cache shares. */
  goal: { options: QuantizeOptions } | SizeGoal;
  /** The KV cache that is wanted; where memory is shared, the choice of it is part of the goal. */
  cache?: CacheBudget | CacheTypes | undefined;
  pins: TypeOverride[];
  minimize: "size" | "latency";
  effort: Effort;
  without: MethodPart[];
  /** Train what the types leave free after rounding. */
  recover: boolean;
  threads?: number | undefined;
  /** Measurements of an earlier run, from which types are chosen without measuring again. */
  table?: Pick<Measurements, "tensors" | "kvCache"> | undefined;
  /** What is measured is kept for other runs, which may pin other tensors: pinned ones are measured, too. */
  writesTable: boolean;
}

export interface CalibratedJobOutput {
  sizeBytes: number;
  tensors: TensorOutcome[];
  /** What was measured, unless it was given. */
  measured?: Measurements["tensors"];
  /** The KV cache, where one was asked for, and what was measured for it beyond what was given. */
  cache?: CacheOutcome;
  cachesMeasured?: MeasuredCache[];
  /** Of the whole mix, from the sum of its parts. */
  predictedDivergence?: number;
  /** Of the whole mix, on the part of the calibration text that no Hessian saw; absent without a text, as what follows. */
  divergence?: Finish["divergence"];
  /** What training after rounding came to. */
  recovery?: NonNullable<Finish["recovery"]>;
  contextLength?: number;
  measurementWindows?: number;
  /** Those of them that substitutions are measured on. */
  probeWindows?: number;
  /** Windows of text whose inputs are looked at. */
  textWindows?: number;
  statisticsTokens: number;
  warnings: string[];
}

/** Memory for the original and the candidate side by side. */
const TWO_MODELS_BYTES_MAX = 2 ** 30;
const DRIFT_SHARE = 0.25;
/** Tokens whose mean squares whole mixes are rounded by on trial. */
const TRIAL_STATISTICS_TOKENS = 8192;

export function run(job: CalibratedJobInput, context: JobContext): Promise<CalibratedJobOutput> {
  return withBench(job, context, (bench) => quantizeOn(bench, job, context));
}

async function quantizeOn(bench: Bench, job: CalibratedJobInput, context: JobContext): Promise<CalibratedJobOutput> {
  const { model, lab, windows, firstScored, threads, shared } = bench;
  const effort = EFFORTS[job.effort];
  const meter = new CacheMeter({
    spec: model.spec,
    windowTokens: windows.contextLength,
    measure: (types) => lab.divergence({ ...types, flashAttention: "on" }),
    known: job.table?.kvCache,
    onProgress: context.progress,
    breathe: context.flush,
  });
  const choice = await chooseAssignments(job, model, {
    measure: (types) =>
      job.without.includes("allocation")
        ? Promise.resolve(evenMeasurements(lab.source.tensors, types.keys()))
        : measureTypes(bench, job.effort, types),
    improve: (mix) => improve(mix, effort.mixTrials, shared, threads),
    meter,
  });
  const cache = choice.cache ?? (job.cache && (await chooseCache(job.cache, meter)));
  const changed = changedTypes(model, choice.assignments);
  const rounding = job.without.includes("descent") ? "fast" : effort.rounding;
  await using finished = job.statistics === undefined ? undefined : await openFinishedInputs(job.statistics);
  const { parameters } = lab.model;
  const groups = finished || job.without.includes("asymmetric") ? 0 : driftGroupsOf(effort, parameters);
  const watch = new RankWatch();
  await using rounded = await RoundedTensors.create(job.output);
  const seeInput = (input: WatchedInput): void => watch.see(input);
  const common = { ...shared, onInput: seeInput, types: changed, effort: rounding, rounded };
  await (finished
    ? roundByFile({ ...common, finished, source: lab.source, ggml: lab.engine })
    : roundFollowingDrift({ ...common, threads, groups, driftShare: DRIFT_SHARE }));
  const finish = await finishMix({
    ...shared,
    model,
    types: changed,
    rounded,
    fitsGain: !job.without.includes("recovery"),
    training: job.recover
      ? { windows: windows.statistics, firstScored, steps: recoveryStepsOf(effort, parameters), threads }
      : undefined,
  });
  const sizeBytes = await write(job, model, choice.assignments, rounded);
  return {
    sizeBytes,
    tensors: outcomes(model, choice.assignments),
    ...(choice.measured && { measured: choice.measured }),
    ...(cache && { cache }),
    cachesMeasured: meter.added,
    ...(choice.predicted !== undefined && { predictedDivergence: choice.predicted }),
    ...finish,
    ...facts(windows),
    probeWindows: probeWindowsOf(job.effort, windows),
    warnings: watch.warnings(textRemedy(job.effort, windows.contextLength)),
    ...(finished && factsOfFile(finished, model.tensors, changed.keys(), watch)),
  };
}

/** With the original beside the candidate, and no longer than it takes: both in bf16 where that is fast, in place of the lab's model. */
async function roundFollowingDrift(request: Omit<Parameters<typeof roundInOrder>[0], "original">): Promise<void> {
  const { lab, groups, threads } = request;
  const { engine, source } = lab;
  if (groups === 0) return await roundInOrder(request); // once through the original, as `pare calibrate` does it
  if (!isFastInBf16(lab.model)) {
    using original = LlamaModel.load(engine, source.path);
    return await roundInOrder({ ...request, original });
  }
  lab.releaseModel();
  const options = { threads, precision: "bf16" } as const;
  using candidate = await WeightLab.open(engine, source.path, options);
  using original = await WeightLab.open(engine, source.path, options);
  return await roundInOrder({ ...request, lab: candidate, original: original.model });
}

/** The processor multiplies it, and two such models fit: a larger original had better stay in its file. */
function isFastInBf16({ engine, parameters }: LlamaModel): boolean {
  return 2 * 2 * parameters <= TWO_MODELS_BYTES_MAX && fastestPrecision(engine) === "bf16";
}

/** The types of the tensors that change theirs. */
export function changedTypes(model: Model, assignments: TypeAssignments): Map<string, GgmlType> {
  const types = [...assignments].map(([name, { type }]) => [name, type] as const);
  return new Map(types.filter(([name, type]) => type !== model.tensors.get(name)!.type));
}

function facts({ statistics, contextLength, measurementWindows }: CalibrationWindows) {
  const textWindows = statistics.length;
  return { statisticsTokens: textWindows * contextLength, contextLength, measurementWindows, textWindows };
}

interface Choice {
  assignments: TypeAssignments;
  measured?: Measurements["tensors"];
  predicted?: number;
  cache?: CacheOutcome;
}

/**
 * A type for every tensor, and where memory is shared the KV cache.
 *
 * @param work.measure what is known of tensors to which these types are open; called where a size is asked for and no table given
 * @param work.improve what the choice is made of once it stands; without it, it is left
 * @param work.meter wanted where memory is shared
 */
export async function chooseAssignments(
  job: CalibratedJobInput,
  model: Model,
  work: {
    measure: (types: ReadonlyMap<string, readonly GgmlType[]>) => Promise<Measurements["tensors"]>;
    improve?: (mix: Allocation) => Promise<Pick<Allocation, "assignments" | "predictedDivergence">>;
    meter?: CacheMeter;
  },
): Promise<Choice> {
  const { goal, pins } = job;
  if ("options" in goal) {
    const { preset, choices } = parseChoices(goal.options);
    const { spec, tensors } = model;
    return { assignments: assignTypes({ ...choices, spec, preset, tensors: tensors.values(), hasImportance: true }) };
  }
  const solvable = openTypes(model, goal, job.effort);
  const pinned = pinnedTypes(model, pins);
  const open = new Map(
    [...model.tensors.values()].map((tensor) => [tensor.name, candidateTypes(tensor, { types: solvable })]),
  );
  const types = new Map([...open].map(([name, list]) => [name, pinned.has(name) ? [pinned.get(name)!.type] : list]));
  if ("memory" in goal) requireRoom(goal.memory, model, types);
  const measured = job.table?.tensors ?? (await work.measure(job.writesTable ? open : types));
  const mix = await solveMix(model, measured, { ...job, goal }, work.meter);
  if (job.without.includes("allocation")) return { assignments: mix.assignments };
  const isImprovable = work.improve && job.minimize === "size"; // nobody weighs the time of nearby mixes
  const { assignments, predictedDivergence } = isImprovable ? await work.improve!(mix) : mix;
  return {
    assignments,
    predicted: predictedDivergence,
    ...(job.table ? {} : { measured }),
    ...(mix.cache && { cache: mix.cache }),
  };
}

/** Tries nearby mixes on the whole model, and leaves the lab's as it was. */
async function improve(
  mix: Allocation,
  trialsMax: number,
  shared: Bench["shared"],
  threads: number,
): Promise<Pick<Allocation, "assignments" | "predictedDivergence">> {
  const { lab, windows, contextLength, measurementWindows, onProgress, breathe } = shared;
  const seen = spread(windows, Math.max(1, Math.floor(TRIAL_STATISTICS_TOKENS / contextLength)));
  let trial: TrialMix | undefined;
  const improved = await improveMix({
    problem: mix.problem,
    types: typesOf(mix),
    measure: async (types, count) => {
      trial ??= await TrialMix.open({ lab, windows: seen, threads, onProgress, breathe });
      await breathe();
      return trial.measure(types, count);
    },
    budgets: [...new Set([Math.ceil(measurementWindows / 4), measurementWindows])],
    trialsMax,
    onTrial: (done) => onProgress({ stage: "trying nearby mixes", done, total: trialsMax, unit: "mixes" }),
  });
  lab.restore();
  return {
    assignments: reassign(mix.assignments, improved.types),
    predictedDivergence: improved.loss ?? mix.predictedDivergence,
  };
}

/** Writes the file. @returns its bytes */
export async function write(
  job: CalibratedJobInput,
  model: Model,
  assignments: TypeAssignments,
  rounded: Pick<RoundedTensors, "get">,
): Promise<number> {
  const metadata = outputMetadata(model.metadata, fileTypeOf(job, model, assignments));
  const tensors = [...assignments].map(([name, { type }]) => {
    const source = model.tensors.get(name)!;
    const rows = source.shape.slice(1).reduce((product, n) => product * n, 1);
    return {
      name,
      shape: source.shape,
      type,
      chunks: async function* chunks() {
        yield rounded.get(name) ?? (await source.readRows(0, rows));
      },
    };
  });
  const { sizeBytes } = await writeGguf(job.output, { metadata, tensors }, { hash: false });
  return sizeBytes;
}

/** The preset's number; for a mix of our own that of the type with the most bytes. */
function fileTypeOf({ goal }: CalibratedJobInput, model: Model, assignments: TypeAssignments): number | undefined {
  if ("options" in goal) return parseChoices(goal.options).preset.fileType;
  return mixLabel(outcomes(model, assignments)).preset?.fileType;
}
