// From what was measured to what is said: verdict, reasons, and the certificate that holds them. Nothing is measured here.
import { PareError } from "../errors.js";
import { tensorSizeBytes } from "../model/model.js";
import { optional } from "../support/optional.js";
import { formatBytes } from "../support/units.js";
import { casesToSettle, judge, keptInterval, tokensToSettle } from "./bar.js";
import {
  type BaseModel,
  type PlannedCandidate,
  isQuantizedSource,
  nearestFeasible,
  planOriginal,
} from "./candidates.js";
import type { Certificate, Quality, TrialRecord } from "./certificate.js";
import { type DeviceSpec, usableMemoryBytes } from "./device.js";
import type { EvidencePlan } from "./evidence-plan.js";
import type { Laboratory } from "./laboratory.js";
import type { FitRequest } from "./request.js";
import type { SearchOutcome } from "./search.js";
import { type Calibration, type Pace, calibratePace, paceOf, predictDecodeTokensPerSecond } from "./speed.js";
import { versions } from "./versions.js";
import { CERTAIN_ZERO_CASES, type Part, type Yardstick } from "./yardstick.js";

export interface Findings {
  request: FitRequest;
  bases: readonly BaseModel[];
  yardstick: Yardstick;
  device: DeviceSpec;
  contextLength: number;
  candidates: readonly PlannedCandidate[];
  plan: EvidencePlan;
  laboratory: Laboratory;
  outcome: SearchOutcome;
  startedAt: string;
}

/** Puts the certificate together; the winner's file hash is added when the file is written. */
export async function certify(findings: Findings): Promise<Certificate> {
  const { request, bases, yardstick, device, contextLength, outcome, laboratory } = findings;
  const base = bases[0]!;
  const verdict = verdictOf(findings);
  const measurements = laboratory.paceMeasurements();
  const here = measurements.length > 0 ? calibratePace(measurements) : undefined;
  const pace = request.device === "this" ? here : paceOf(device);
  const original = planOriginal(base, { device, contextLength });
  const baselineSpeed = laboratory.speeds.get("baseline");
  const part = outcome.confirmed.size > 0 ? "confirmation" : "selection";
  return {
    format: "pare-certificate/1",
    ...verdict,
    bar: { keep: request.keep, metric: yardstick.metric, confidence: 0.95 },
    minimize: request.minimize,
    device: {
      name: device.name,
      memoryBytes: usableMemoryBytes(device),
      ...(device.storageBytes === undefined ? {} : { storageBytes: device.storageBytes }),
      contextLength,
    },
    baseline: {
      path: base.path,
      ...(base.model.spec.name === undefined ? {} : { name: base.model.spec.name }),
      architecture: base.model.spec.architecture,
      sizeBytes: base.sizeBytes,
      bitsPerWeight: original.bitsPerWeight,
      parametersTotal: base.model.spec.parametersTotal,
      memoryBytes: original.memoryBytes,
      decodeTokensPerSecond: baselineSpeed?.decodeTokensPerSecond ?? null,
      prefillTokensPerSecond: baselineSpeed?.prefillTokensPerSecond ?? null,
      ...optional("quality", await laboratory.baselineQuality(part)),
      sha256: base.sha256,
    },
    winner: outcome.winner ? winnerRecord(findings, outcome.winner) : null,
    trials: findings.candidates.map((candidate) => trialRecord(findings, candidate, pace)),
    task: {
      kind: yardstick.kind,
      path: request.task ?? request.text!.join(", "),
      ...(request.scorer === undefined ? {} : { scorer: request.scorer }),
      ...yardstick.sizes,
    },
    calibration: { source: request.importance ?? "calibration part", tokens: laboratory.calibrationTokens },
    budget: {
      seconds: request.budget,
      secondsUsed: Math.round(laboratory.secondsUsed * 10) / 10,
      evaluations: request.evaluations,
      evaluationsUsed: laboratory.evaluationsUsed,
    },
    ...(here && here.medianErrorShare !== null ? { speedPrediction: speedPrediction(here) } : {}),
    notes: notesOf(findings),
    seed: request.seed,
    versions: versions(),
    hashes: {
      ...Object.fromEntries(bases.map(({ sha256 }, index) => [index === 0 ? "model" : `model${index + 1}`, sha256])),
      task: yardstick.sha256,
    },
    startedAt: findings.startedAt,
    finishedAt: new Date().toISOString(),
  };
}

function verdictOf(
  findings: Findings,
): Pick<Certificate, "verdict" | "reason" | "casesNeeded" | "nearestFeasibleBytes"> {
  const { candidates, device, outcome, request, laboratory, yardstick } = findings;
  const bar = `${percent(request.keep)} of the baseline's quality`;
  if (!candidates.some(({ misfit }) => misfit === undefined)) {
    const nearest = nearestFeasible(candidates);
    const needed = nearest?.memoryBytes;
    return {
      verdict: "INFEASIBLE",
      reason: nearest
        ? `Nothing fits ${device.name}: the smallest, ${nearest.name}, ${nearest.misfit}`
        : `Nothing can be made of this model for ${device.name}`,
      ...optional("nearestFeasibleBytes", needed),
    };
  }
  const { winner } = outcome;
  const measured = [...outcome.screened.keys()].filter(({ isBaseline }) => !isBaseline);
  if (laboratory.errors.size > 0 && measured.length === 0) {
    throw new PareError(`No candidate could be measured: ${[...laboratory.errors.values()][0]}`, {
      hint: "Run: pare doctor; then pare eval on the model itself",
    });
  }
  if (laboratory.nothingToKeep) {
    const { part, message } = laboratory.nothingToKeep;
    const needed = Math.ceil(CERTAIN_ZERO_CASES / shareOf(part, yardstick));
    return {
      verdict: "NEED_MORE",
      reason: `${message}${remedyFor(needed, yardstick)}`,
      casesNeeded: { count: needed, unit: yardstick.unit },
    };
  }
  if (winner?.isBaseline)
    return { verdict: "ACCEPT", reason: `The original fits, and nothing leaner keeps ${bar} with certainty` };
  if (winner) {
    const { kept } = outcome.confirmed.get(winner)!;
    return {
      verdict: "ACCEPT",
      reason: `${winner.name} keeps ${keptText(kept)} of the baseline's quality on fresh evidence; the bar is ${percent(request.keep)}`,
    };
  }
  const closest = outcome.closest && qualityOf(outcome, outcome.closest);
  if (!outcome.closest || !closest) {
    const why =
      laboratory.errors.size > 0
        ? `the engine could not run what fits: ${[...laboratory.errors.values()][0]}`
        : "the budget was spent before anything was measured";
    return { verdict: "NEED_MORE", reason: `No candidate was measured: ${why}` };
  }
  const judged = [...outcome.selected, ...outcome.confirmed].map(([, quality]) => judge(quality.kept, request.keep));
  const isSettled = judged.every((judgement) => judgement === "fails") && !laboratory.isBudgetSpent;
  if (isSettled)
    return {
      verdict: "REJECT",
      reason: `Nothing that fits keeps ${bar}; the closest, ${outcome.closest.name}, keeps ${keptText(closest.kept)}`,
    };
  const isEvidenceShort = judge(closest.kept, request.keep) === "undecided";
  const needed = evidenceNeeded(findings, closest);
  const remedy = remedyFor(needed, yardstick);
  return {
    verdict: "NEED_MORE",
    reason: isEvidenceShort
      ? `The evidence does not settle whether ${outcome.closest.name} keeps ${bar}: it keeps ${keptText(closest.kept)}${remedy}`
      : `The budget was spent before the question was settled; the closest, ${outcome.closest.name}, keeps ${keptText(closest.kept)} and the bar is ${percent(request.keep)}`,
    ...(isEvidenceShort ? { casesNeeded: { count: needed, unit: yardstick.unit } } : {}),
  };
}

/** The size of a whole task that would settle it: what the measured part would need, over that part's share of the task. */
function evidenceNeeded({ request, yardstick }: Findings, closest: Quality): number {
  const share = shareOf(closest.part, yardstick);
  if (closest.cases === undefined || !closest.score) {
    const scored = tokensToSettle(closest.kept, request.keep, closest.tokens ?? yardstick.inUnits(1));
    return Math.ceil((2 * scored) / share); // the first half of each window is context
  }
  const { won = 0, lost = 0, cases, score } = closest;
  const baselineMean = score.mean - won + lost;
  return Math.ceil(casesToSettle({ won, lost, baselineMean, cases }, request.keep) / share);
}

function shareOf(part: Part, { sizes }: Yardstick): number {
  return sizes[part] / wholeOf(sizes);
}

function wholeOf({ calibration, selection, confirmation }: Yardstick["sizes"]): number {
  return calibration + selection + confirmation;
}

/** What to do where the evidence is there and was not used. */
function remedyFor(needed: number, { sizes }: Yardstick): string {
  return needed <= wholeOf(sizes) ? "; the task holds enough, a larger --budget would use it" : "";
}

function winnerRecord(
  { bases, outcome, laboratory }: Findings,
  winner: PlannedCandidate,
): NonNullable<Certificate["winner"]> {
  const { base } = winner;
  const speed = laboratory.speedOf(winner);
  return {
    path: "model.gguf",
    ...(base.model.spec.name === undefined ? {} : { name: base.model.spec.name }),
    candidate: bases.length > 1 ? `${base.path}: ${winner.name}` : winner.name,
    architecture: base.model.spec.architecture,
    sizeBytes: winner.sizeBytes,
    bitsPerWeight: winner.bitsPerWeight,
    parametersTotal: base.model.spec.parametersTotal,
    memoryBytes: winner.memoryBytes,
    decodeTokensPerSecond: speed?.decodeTokensPerSecond ?? null,
    prefillTokensPerSecond: speed?.prefillTokensPerSecond ?? null,
    ...optional("quality", outcome.confirmed.get(winner)),
    microBatchSize: winner.microBatchSize,
    sha256: "", // until the file is written
    tensors: [...base.model.tensors.values()].map((tensor) => {
      const assignment = winner.assignments?.get(tensor.name);
      return {
        name: tensor.name,
        from: tensor.type,
        to: assignment?.type ?? tensor.type,
        sizeBytes: tensorSizeBytes(assignment?.type ?? tensor.type, tensor.shape),
        ...(assignment?.fallbackFrom ? { fallbackFrom: assignment.fallbackFrom } : {}),
      };
    }),
  };
}

function trialRecord(findings: Findings, candidate: PlannedCandidate, pace: Pace | undefined): TrialRecord {
  const { outcome, laboratory, bases } = findings;
  const screening = outcome.screened.get(candidate);
  const quality = qualityOf(outcome, candidate);
  const measured = laboratory.speedOf(candidate);
  const predicted = pace && predictDecodeTokensPerSecond(candidate.bytesTouchedPerToken, pace);
  const { preset, outputType, tokenEmbeddingType } = candidate.quantize ?? {};
  return {
    id: candidate.id,
    model: candidate.base.path,
    candidate: bases.length > 1 ? `${candidate.base.path}: ${candidate.name}` : candidate.name,
    recipe: candidate.quantize
      ? {
          quantize: {
            type: preset,
            ...optional("outputType", outputType),
            ...optional("tokenEmbeddingType", tokenEmbeddingType),
          },
        }
      : {},
    sizeBytes: candidate.sizeBytes,
    bitsPerWeight: candidate.bitsPerWeight,
    memoryBytes: candidate.memoryBytes,
    fits: candidate.misfit === undefined,
    stage: outcome.confirmed.has(candidate)
      ? "confirmed"
      : outcome.selected.has(candidate)
        ? "selected"
        : screening
          ? "screened"
          : "predicted",
    ...(screening && !candidate.isBaseline ? { screenKlDivergence: screening } : {}),
    ...optional("quality", quality),
    ...(measured
      ? {
          speed: {
            decodeTokensPerSecond: measured.decodeTokensPerSecond,
            prefillTokensPerSecond: measured.prefillTokensPerSecond,
            source: "measured" as const,
          },
        }
      : predicted === undefined
        ? {}
        : { speed: { decodeTokensPerSecond: predicted, prefillTokensPerSecond: null, source: "predicted" as const } }),
    onFront: outcome.front.includes(candidate),
    ...standing(findings, candidate, quality),
    ...optional("seconds", laboratory.seconds.get(candidate)),
  };
}

function standing(
  { outcome, laboratory, request }: Findings,
  candidate: PlannedCandidate,
  quality: Quality | undefined,
): Pick<TrialRecord, "verdict" | "reason"> {
  const error = laboratory.errors.get(candidate);
  if (candidate.misfit !== undefined) return { verdict: "does-not-fit", reason: capitalized(candidate.misfit) };
  if (error !== undefined) return { verdict: "error", reason: error };
  if (candidate === outcome.winner) {
    return {
      verdict: "winner",
      reason: candidate.isBaseline ? "The original itself" : `Confirmed: keeps ${keptText(quality!.kept)}`,
    };
  }
  if (candidate.isBaseline) return { verdict: "clears", reason: "The baseline itself" };
  if (quality) {
    const judgement = judge(quality.kept, request.keep);
    const verb = { clears: "Clears the bar", fails: "Misses the bar", undecided: "The bar is inside its interval" }[
      judgement
    ];
    return { verdict: judgement, reason: `${verb}: keeps ${keptText(quality.kept)} on the ${quality.part} part` };
  }
  if (outcome.screened.has(candidate)) {
    return {
      verdict: "not-measured",
      reason: outcome.front.includes(candidate)
        ? "On the front, but the answer lay elsewhere on it"
        : "Another is both cheaper and closer to the baseline",
    };
  }
  return { verdict: "not-measured", reason: "A neighbour, or one with the same blocks, was measured in its place" };
}

function notesOf(findings: Findings): string[] {
  const { bases, yardstick, outcome, device, request, contextLength, laboratory } = findings;
  const notes = [`Memory counts weights, KV cache of ${contextLength} tokens and compute buffers`, ...yardstick.notes];
  if (bases.some(({ model }) => isQuantizedSource(model))) {
    notes.push(
      "The source is quantized already, so candidates are rounded twice; start from full precision where you can",
    );
  }
  if (outcome.screened.size === 0) return notes;
  notes.push("Quality was measured without repacked weights, speed with them, on this machine");
  if (yardstick.metric === "score") notes.push("Share kept relates to the baseline's own score on the same cases");
  const flawless = flawlessLow(findings);
  if (flawless !== undefined && flawless < request.keep) {
    notes.push(
      `The confirmation part is too small for this bar: a candidate that loses nothing would keep at least ${percent(flawless)} for certain`,
    );
  }
  const { winner } = outcome;
  if (!winner) return notes;
  if (winner.microBatchSize < 512) {
    notes.push(
      `To stay within ${formatBytes(usableMemoryBytes(device))}, run it with a micro-batch of ${winner.microBatchSize} tokens (llama.cpp: -c ${contextLength} -ub ${winner.microBatchSize})`,
    );
  }
  const [before, after] = [laboratory.speeds.get("baseline"), laboratory.speedOf(winner)];
  if (before && after && after.decodeTokensPerSecond < before.decodeTokensPerSecond) {
    notes.push(
      "The winner decodes more slowly than the baseline here: small types cost arithmetic; --minimize latency weighs that",
    );
  }
  if (request.device !== "this" && device.bandwidthBytesPerSecond === undefined) {
    notes.push("The device states no bandwidth, so its speed is not predicted");
  }
  return notes;
}

/** What a candidate that answers exactly like the baseline would be sure to keep, with the cases that there are. */
function flawlessLow({ yardstick, plan }: Findings): number | undefined {
  if (yardstick.metric !== "score") return undefined;
  return keptInterval({ won: 0, lost: 0, baselineMean: 1, cases: plan.confirmationSize }).low;
}

function speedPrediction(here: Calibration): NonNullable<Certificate["speedPrediction"]> {
  return {
    bandwidthBytesPerSecond: Math.min(here.bandwidthBytesPerSecond, 1e15),
    medianErrorShare: here.medianErrorShare!,
    measurements: here.measurements,
  };
}

function qualityOf(outcome: SearchOutcome, candidate: PlannedCandidate): Quality | undefined {
  return outcome.confirmed.get(candidate) ?? outcome.selected.get(candidate);
}

function keptText({ mean, low, high }: Quality["kept"]): string {
  return `${percent(mean)} (95 % interval ${percent(low)} to ${percent(high)})`;
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))}%`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
