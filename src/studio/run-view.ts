// What a fit has found so far, read from its journal: a run as the page shows it. Reading never disturbs the run: the journal only grows,
// and a half-written last line is left for the next time.
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import type { Certificate, Estimate, Quality } from "../fit/certificate.js";
import type { PlanRecord } from "../fit/fit.js";
import type { JournalEntry } from "../fit/journal.js";
import { LOCK } from "../fit/workspace.js";
import type { Measurement, Screening } from "../fit/yardstick.js";
import { toldUnder } from "../support/folder-lock.js";
import { optional } from "../support/optional.js";

export type Stage = "does-not-fit" | "planned" | "screened" | "measuring" | "selected" | "confirmed";

/** A candidate as far as it is known. */
export interface CandidateView {
  id: string;
  name: string;
  isBaseline: boolean;
  sizeBytes: number;
  memoryBytes: number;
  stage: Stage;
  /** Divergence on little text, in nats. */
  divergence?: number;
  kept?: Estimate;
  /** Cases run through it so far. */
  casesRun: number;
  tokensPerSecond?: number;
  /** From the certificate, once there is one. */
  verdict?: string;
  reason?: string;
}

/** A fit that runs, was interrupted, or has ended. */
export interface RunView {
  id: string;
  folder: string;
  baseline: string;
  task: string;
  keep: number;
  minimize: string;
  device: string;
  /** Finished measurements. */
  measurements: number;
  seconds: number;
  /** What was done last, in words. */
  latest: string;
  state: "running" | "interrupted" | "ended";
  /** What goes on with it; absent in journals of earlier versions. */
  command?: string;
  verdict?: Certificate["verdict"];
  reason?: string;
  /** The file that was found, if any. */
  winner?: string;
  hasReport: boolean;
  candidates: CandidateView[];
}

/** Where one run keeps its journal and its results. */
export interface RunPlace {
  id: string;
  /** The output folder. */
  folder: string;
  journal: string;
}

type Attempt<T> = { value: T } | { error: string };

/** @returns undefined while the run has planned nothing yet */
export async function readRun(place: RunPlace): Promise<RunView | undefined> {
  const entries = await readJournal(place.journal);
  const plan = entries.find(({ key }) => key === "plan")?.value as PlanRecord | undefined;
  if (!plan) return undefined;
  const certificate = await readCertificate(place, plan);
  const candidates = new Map(plan.candidates.map((each) => [each.id, planned(each)]));
  for (const entry of entries) note(candidates, entry);
  for (const trial of certificate?.trials ?? []) {
    Object.assign(candidates.get(trial.id) ?? {}, { verdict: trial.verdict, reason: trial.reason });
  }
  const { baseline, task, keep, minimize, device, command } = plan;
  const isRunning = await isRunningAt(place);
  return {
    id: place.id,
    folder: place.folder,
    baseline,
    task,
    keep,
    minimize,
    device,
    measurements: entries.filter(({ key }) => key.startsWith("measure:")).length,
    seconds: entries.reduce((sum, { seconds }) => sum + seconds, 0),
    latest: latestText(entries, candidates),
    state: isRunning ? "running" : certificate ? "ended" : "interrupted",
    ...optional("command", command),
    ...(certificate ? { verdict: certificate.verdict, reason: certificate.reason } : {}),
    ...(certificate?.winner ? { winner: join(place.folder, "model.gguf") } : {}),
    hasReport: certificate !== undefined,
    candidates: [...candidates.values()],
  };
}

/** True while a process that is alive works on the run: the lock of its folder tells on which. */
export async function isRunningAt({ folder, journal }: RunPlace): Promise<boolean> {
  return (await toldUnder(join(folder, LOCK))) === basename(dirname(journal));
}

/** The whole lines of a journal; damaged ones are none. */
export async function readJournal(path: string): Promise<JournalEntry[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .slice(0, -1)
    .flatMap((line) => {
      try {
        return [JSON.parse(line) as JournalEntry];
      } catch {
        return [];
      }
    });
}

/** The measurement of one part, with its draws. */
export function measurementOf(
  entry: JournalEntry,
): { candidate: string; part: string; measurement: Measurement } | undefined {
  const [kind, candidate, part] = entry.key.split(":");
  const attempt = entry.value as Attempt<Measurement>;
  if (kind !== "measure" || (part !== "selection" && part !== "confirmation")) return undefined;
  return attempt && "value" in attempt && attempt.value?.quality
    ? { candidate: candidate!, part, measurement: attempt.value }
    : undefined;
}

/** A certificate in the folder that belongs to this run, not to an earlier one. */
async function readCertificate({ folder, journal }: RunPlace, plan: PlanRecord): Promise<Certificate | undefined> {
  try {
    const path = join(folder, "certificate.json");
    const certificate = JSON.parse(await readFile(path, "utf8")) as Certificate;
    const [written, grown] = [await stat(path), await stat(journal)];
    const known = new Set(plan.candidates.map(({ id }) => id));
    const isOwn = certificate.trials.every(({ id }) => known.has(id)) && certificate.trials.length === known.size;
    return isOwn && written.mtimeMs >= grown.mtimeMs ? certificate : undefined;
  } catch {
    return undefined; // none yet
  }
}

function planned({ misfit, ...candidate }: PlanRecord["candidates"][number]): CandidateView {
  return {
    ...candidate,
    stage: misfit === undefined ? "planned" : "does-not-fit",
    ...(misfit === undefined ? {} : { reason: misfit }),
    ...(candidate.isBaseline ? { kept: { mean: 1, low: 1, high: 1 } } : {}),
    casesRun: 0,
  };
}

/** Takes in one finished step. */
function note(candidates: ReadonlyMap<string, CandidateView>, { key, value }: JournalEntry): void {
  const [kind, id, purpose, side] = key.split(":");
  const candidate = candidates.get(id ?? "");
  if (!candidate) return;
  if (kind === "cases" && side === "candidate") {
    candidate.casesRun += (value as unknown[]).length;
    candidate.stage = "measuring";
  }
  const result = (value as Attempt<unknown> | null) ?? {};
  if (!("value" in result)) return;
  if (kind === "speed")
    candidate.tokensPerSecond = (result.value as { decodeTokensPerSecond: number }).decodeTokensPerSecond;
  if (kind !== "measure") return;
  if (purpose === "screening")
    Object.assign(candidate, { stage: "screened", divergence: (result.value as Screening).mean });
  else {
    const { kept } = (result.value as { quality: Quality }).quality;
    Object.assign(candidate, { stage: purpose === "selection" ? "selected" : "confirmed", kept });
  }
}

const DOING: Record<string, string> = {
  plan: "planned the candidates",
  device: "looked at the device",
  calibrate: "collected importance data",
  sizes: "measured what rounding each tensor does",
  speed: "timed",
  load: "measured latencies of",
  products: "timed matrix products",
};

function latestText(entries: readonly JournalEntry[], candidates: ReadonlyMap<string, CandidateView>): string {
  const [kind, id, purpose] = (entries.at(-1)?.key ?? "").split(":");
  const name = candidates.get(id ?? "")?.name ?? (id === "baseline" ? "the baseline" : "");
  if (kind === "measure")
    return `${{ screening: "screened", selection: "selected", confirmation: "confirmed" }[purpose!] ?? "measured"} ${name}`;
  if (kind!.startsWith("judge ")) return "had answers judged";
  if (kind === "cases") return `ran cases through ${name}`;
  return `${DOING[kind!] ?? "began"} ${["speed", "load"].includes(kind!) ? name : ""}`.trim();
}
