// `fit`: models, a task and a device in; the leanest model that clears the bar out, with a certificate and a report. This
// file is the story in order; each step lives in a file of its own. Everything that is measured goes through the journal,
// so an interrupted fit goes on where it stopped.
import { rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

import { readImportance } from "../calibrate/read-imatrix.js";
import { parseEndpointPrices } from "../cost/money.js";
import { PareError, UsageError } from "../errors.js";
import { CostCap } from "../evaluate/endpoint/cost-cap.js";
import { JudgeSpending } from "../evaluate/judge/judge-cost.js";
import { type JudgeAnswer, recalling } from "../evaluate/judge/judge-memory.js";
import type { JudgeTerms } from "../evaluate/judge/judge-task.js";
import { checkForEngine } from "../model/check.js";
import { kvCacheBytes } from "../model/memory.js";
import { openModel } from "../model/open.js";
import { physicalCores } from "../native/cores.js";
import { planQuantization } from "../passes/quantize/plan.js";
import { AtomicFile, refuseReplacing, sha256File } from "../support/files.js";
import type { RunOptions } from "../support/progress.js";
import { type Source, mergeBase, pathsOf } from "./adapted-base.js";
import { type BaseModel, type PlannedCandidate, bySize, planCandidates } from "./candidates.js";
import type { Certificate } from "./certificate.js";
import { commandLine } from "./command-line.js";
import { type DeviceSpec, deviceSchema, readDevice, usableMemoryBytes } from "./device.js";
import { type EvidencePlan, planEvidence } from "./evidence-plan.js";
import { FolderLock } from "../support/folder-lock.js";
import { judgeFiles, recordInputs } from "./file-records.js";
import { Journal } from "./journal.js";
import { Laboratory } from "./laboratory.js";
import { certify } from "./outcome.js";
import { Mixes } from "./mixes.js";
import { type FitRequest, type FitRequestInput, fitRequestSchema } from "./request.js";
import { readPrivateKey } from "./seal.js";
import { race } from "./race.js";
import type { SearchOutcome } from "./search.js";
import { createTaskYardstick } from "./task-yardstick.js";
import { createTextYardstick } from "./text-yardstick.js";
import { versions } from "./versions.js";
import { LOCK, Workspace } from "./workspace.js";
import { type DrawReport, RESULT_FILES, writeResults } from "./write-results.js";
import type { Yardstick } from "./yardstick.js";

export interface FitOptions extends RunOptions {
  drawReport: DrawReport;
  /** What judges at endpoints said in an earlier fit: they are not asked that again. */
  heard?: ReadonlyMap<string, JudgeAnswer>;
}

/**
 * Finds the leanest model that fits a device and keeps the quality asked for, and writes it with its evidence.
 *
 * In `request.out`: `certificate.json`, `report.html` and `model-card.md` always, `model.gguf` and `recipe.yaml` only on ACCEPT. Killed and
 * called again with the same request, it goes on from its journal and comes to the same end.
 *
 * @returns the certificate; `EXIT_CODES[certificate.verdict]` is what the command exits with
 * @throws {UsageError} when the request can't be meant as written
 * @throws {FormatError} when a model, the task or the device file is unsound
 * @throws {PareError} when the task is too small to be split, or the output folder can't be written
 * @example
 * const certificate = await fit({ models: ["model-f16.gguf"], text: "heldout.txt", device: "laptop-8gb", keep: "98%", out: "lean" });
 */
export async function fit(
  input: FitRequestInput,
  { drawReport, heard = new Map(), ...options }: FitOptions,
): Promise<Certificate> {
  const request = parseFitRequest(input);
  const startedAt = new Date().toISOString();
  // Complains before the models are read; `this` is measured later, once.
  const named = request.device === "this" ? undefined : await readDevice(request.device);
  const key = request.sign === undefined ? undefined : await readPrivateKey(request.sign);
  await using lock = await lockWritableFolder(request.out);
  await using models = await openModels(request, options);
  const { bases } = models;
  await refuseReplacingInput(request, bases);
  await requireImportanceOf(request, bases, options);
  const memoryLimit = request.memory ?? (named && usableMemoryBytes(named));
  const yardstick = await createYardstick(request, bases, memoryLimit, options);
  const workspace = new Workspace(request.out, await identity(request, bases, yardstick));
  await using journal = await Journal.open(workspace.journalPath);
  await lock.tell(workspace.name);

  const journalled = await journal.step("device", async () => ({
    ...(await readDevice(request.device, options)),
    ...(request.memory === undefined ? {} : { memoryBytes: request.memory, memoryForModelsShare: 1 }),
  }));
  const device = deviceSchema.parse(journalled);
  const trained = Math.min(...bases.map(({ model }) => model.spec.contextLength || Infinity));
  const contextLength = request.context ?? Math.min(trained, yardstick.contextNeeded);
  const terms = { device, contextLength, only: request.candidates };
  const mixes = new Mixes({ request, bases, yardstick, workspace, journal });
  const candidates = bySize([...planCandidates(bases, terms), ...(await mixes.plan(terms, options))]);
  const feasible = candidates.filter(({ misfit }) => misfit === undefined);
  const plan = planFor(request, bases[0]!, yardstick, feasible);
  await yardstick.openJudges(judgeTerms(request, journal, heard), plan, options);

  await journal.step("plan", async () => planRecord(request, device, candidates));
  const laboratory = new Laboratory(
    { request, bases, yardstick, workspace, journal, plan, mixes, contextLength },
    options,
  );
  const outcome = feasible.length === 0 ? nothingFits() : await runSearch(request, feasible, plan, laboratory);
  if (feasible.length > 0) {
    await laboratory.measureSpeeds(outcome);
    if (request.device === "this") await laboratory.measureProducts(feasible);
  }
  const findings = await certify({
    request,
    bases,
    yardstick,
    device,
    contextLength,
    candidates,
    plan,
    laboratory,
    outcome,
    startedAt,
  });
  const { sign: _sign, ...asked } = request; // where a key lies is nobody's business
  const inputs = await recordInputs(request, bases, yardstick, options.signal);
  const certificate = { ...findings, request: asked, inputs };
  return writeResults({ certificate, request, outcome, laboratory, workspace, key }, drawReport, options);
}

/** Reads a request. @throws {UsageError} naming the field, what is there and what is wanted */
export function parseFitRequest(input: unknown): FitRequest {
  const parsed = fitRequestSchema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = issue.path.join(".");
  throw new UsageError(`Cannot fit: ${field ? `"${field}": ` : ""}${issue.message}`, { hint: "Run: pare fit --help" });
}

async function openModels(
  { models: names, out }: FitRequest,
  options: RunOptions,
): Promise<{ bases: BaseModel[] } & AsyncDisposable> {
  const bases: BaseModel[] = [];
  const merged: string[] = []; // they are there while the fit runs
  const close = async (): Promise<void> => {
    await Promise.all(bases.map(({ model }) => model.close()));
    for (const path of merged) await rm(path, { force: true });
  };
  try {
    for (const given of names) {
      const [path, adapter] = pathsOf(given);
      const made = adapter && (await mergeBase([path, adapter], join(out, dirname(LOCK)), options));
      if (made) merged.push(made.path);
      const model = await openModel(made ? made.path : path, options);
      const sources = made ? made.sources : model.parts!.map((part): Source => ({ role: "model", path: part }));
      const name = made ? given : model.path!; // of a split one the first part
      bases.push({ path: model.path!, name, sources, model, sha256: "", sizeBytes: model.fileSizeBytes! });
      await checkForEngine(model);
      options.onProgress?.({
        stage: "hashing",
        done: bases.length - 1,
        total: names.length,
        unit: "models",
        detail: given,
      });
      bases.at(-1)!.sha256 = await sha256File(model.parts!, options.signal);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { bases, [Symbol.asyncDispose]: close };
}

function createYardstick(
  request: FitRequest,
  bases: readonly BaseModel[],
  memoryLimit: number | undefined,
  options: RunOptions,
): Promise<Yardstick> {
  if (!request.text) return createTaskYardstick(request, bases, options);
  return createTextYardstick(request, bases, request.context ?? textContext(bases[0]!, memoryLimit), options);
}

/** Where no context is asked for: 512 tokens, as llama-perplexity takes, or 256 where the cache of 512 would crowd out weights. */
function textContext({ model }: BaseModel, memoryLimit = Infinity): number {
  return kvCacheBytes(model.spec, 512) > CACHE_SHARE_MAX * memoryLimit ? 256 : 512;
}

const CACHE_SHARE_MAX = 0.05; // a small device should spend its memory on weights

/** Everything that the results depend on, and nothing else: no paths, no clock. */
async function identity(request: FitRequest, bases: readonly BaseModel[], yardstick: Yardstick): Promise<unknown> {
  const { keep, claim, minimize, budget, evaluations, context, memory, candidates, sizes, seed, scorer } = request;
  const { calibrate, excludeFaulty } = request;
  return {
    models: bases.map(({ sha256 }) => sha256),
    task: yardstick.sha256,
    importance: request.importance && (await sha256File(request.importance)),
    ...(yardstick.judges.length > 0
      ? { judges: await Promise.all(judgeFiles(yardstick).map((file) => sha256File(file))) }
      : {}),
    device: request.device === "this" ? "this" : await readDevice(request.device),
    keep,
    claim,
    minimize,
    budget,
    evaluations,
    context,
    memory,
    candidates,
    calibrate: calibrate && (await Promise.all(calibrate.map((path) => sha256File(path)))),
    sizes,
    seed,
    scorer,
    excludeFaulty,
    threads: request.threads ?? physicalCores(),
    backend: process.env["PARE_BACKEND"],
    versions: versions(),
  };
}

function judgeTerms(
  { costCap, judgePrice }: FitRequest,
  journal: Journal,
  heard: ReadonlyMap<string, JudgeAnswer>,
): JudgeTerms {
  const prices = judgePrice === undefined ? undefined : parseEndpointPrices(judgePrice);
  return {
    memory: recalling(journal, heard),
    spending: new JudgeSpending(new CostCap(costCap), prices),
    ...(heard.size > 0 ? { state: "ready" } : {}), // they may be needed no more
  };
}

function planFor(
  request: FitRequest,
  base: BaseModel,
  yardstick: Yardstick,
  feasible: readonly PlannedCandidate[],
): EvidencePlan {
  return planEvidence({
    budgetSeconds: request.budget,
    evaluations: request.evaluations,
    cores: request.threads ?? physicalCores(),
    parametersActive: base.model.spec.parametersActive,
    tokensEach: yardstick.tokensEach,
    selectionAvailable: yardstick.available.selection,
    confirmationAvailable: yardstick.available.confirmation,
    candidates: feasible.length,
    families: new Set(feasible.map(({ base }) => base.sha256)).size,
    mixes: mostMixes(feasible),
  });
}

/** Mixes of the model that has most of them. */
function mostMixes(candidates: readonly PlannedCandidate[]): number {
  const counts = new Map<BaseModel, number>();
  for (const { base, mix } of candidates) if (mix) counts.set(base, (counts.get(base) ?? 0) + 1);
  return Math.max(0, ...counts.values());
}

async function runSearch(
  request: FitRequest,
  candidates: readonly PlannedCandidate[],
  plan: EvidencePlan,
  laboratory: Laboratory,
): Promise<SearchOutcome> {
  const cost = { size: sizeOf, memory: memoryOf, latency: bytesTouchedBy }[request.minimize];
  const hopelessDivergence = request.text ? HOPELESS_FACTOR * -Math.log(request.keep) : HOPELESS_FOR_CASES;
  const outcome = await race({ candidates, cost, keep: request.keep, plan, hopelessDivergence }, laboratory);
  return laboratory.nothingToKeep ? { ...outcome, winner: undefined } : outcome; // nor is the original proven good
}

/** Divergence bounds the loss in ln perplexity only on average, so a wide margin: ten times what the bar allows. */
const HOPELESS_FACTOR = 10;
/** A task may be done well by a model that is far from the baseline elsewhere; at 1 nat per token it is another model. */
const HOPELESS_FOR_CASES = 1;

const sizeOf = ({ sizeBytes }: PlannedCandidate): number => sizeBytes;
const memoryOf = ({ memoryBytes }: PlannedCandidate): number => memoryBytes;
/** Decoding is bound by memory bandwidth, so the fewest bytes touched is the least predicted latency on any device. */
const bytesTouchedBy = ({ bytesTouchedPerToken }: PlannedCandidate): number => bytesTouchedPerToken;

/** What a reader of the journal needs to name what is measured. */
export interface PlanRecord {
  /** What asks for the same again. */
  command: string;
  baseline: string;
  task: string;
  keep: number;
  minimize: FitRequest["minimize"];
  device: string;
  candidates: Pick<PlannedCandidate, "id" | "name" | "isBaseline" | "sizeBytes" | "memoryBytes" | "misfit">[];
}

function planRecord(request: FitRequest, device: DeviceSpec, candidates: readonly PlannedCandidate[]): PlanRecord {
  const { models, task, text, keep, minimize } = request;
  return {
    command: commandLine(request),
    baseline: models[0]!,
    task: task ?? text!.join(", "),
    keep,
    minimize,
    device: device.name,
    candidates: candidates.map(({ id, name, base, isBaseline, sizeBytes, memoryBytes, misfit }) => ({
      id,
      name: models.length > 1 ? `${base.name}: ${name}` : name,
      isBaseline,
      sizeBytes,
      memoryBytes,
      ...(misfit === undefined ? {} : { misfit }),
    })),
  };
}

function nothingFits(): SearchOutcome {
  return {
    screened: new Map(),
    selected: new Map(),
    confirmed: new Map(),
    front: [],
    winner: undefined,
    closest: undefined,
    dropped: new Map(),
  };
}

/** Finds out before the work, not after it. */
async function lockWritableFolder(out: string): Promise<FolderLock> {
  const existing = await stat(out).catch(() => undefined);
  if (existing && !existing.isDirectory()) {
    throw new PareError(`Cannot write results to "${out}": it is a file, a folder is wanted`, {
      hint: "Choose another --out",
    });
  }
  const lock = await FolderLock.acquire(join(out, LOCK), out);
  try {
    await using _probe = await AtomicFile.create(join(out, "certificate.json"));
    return lock;
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

/** Importance data that belong to another model would fail with every candidate, one by one. */
async function requireImportanceOf(
  { importance }: FitRequest,
  bases: readonly BaseModel[],
  { signal }: RunOptions,
): Promise<void> {
  if (importance === undefined) return;
  const data = { path: importance, data: await readImportance(importance, { signal }) };
  for (const { model } of bases) planQuantization(model, { type: "q8_0", allowRequantize: true }, data);
}

/** The results of a fit replace each other; what it starts from may be the result of another. */
async function refuseReplacingInput(request: FitRequest, bases: readonly BaseModel[]): Promise<void> {
  const { task, text = [], calibrate = [], importance, device, sign, out } = request;
  const sources = [
    ...bases.flatMap(({ sources }) => sources.map(({ path }) => path)),
    ...text,
    ...calibrate,
    task,
    importance,
    device,
    sign,
  ];
  const files = sources.filter((path) => path !== undefined);
  for (const name of RESULT_FILES) await refuseReplacing(join(out, name), files);
}
