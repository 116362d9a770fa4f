// From what was measured to what is said: verdict, reasons, and the certificate that holds them. Nothing is measured here.
import { keptSequence } from "../evaluate/paired-sequence.js";
import type { Speeds } from "../cost/energy.js";
import { bytesTouchedPerToken } from "../model/memory.js";
import { tensorSizeBytes } from "../model/model.js";
import { optional } from "../support/optional.js";
import { formatBytes } from "../support/units.js";
import { judge } from "./bar.js";
import { type BaseModel, type PlannedCandidate, isQuantizedSource, planOriginal } from "./candidates.js";
import type { Certificate, Quality, TrialRecord } from "./certificate.js";
import { CandidateCosts } from "./candidate-cost.js";
import type { DecodeModel } from "./decode-model.js";
import { type DeviceSpec, usableMemoryBytes } from "./device.js";
import type { EvidencePlan } from "./evidence-plan.js";
import { judgeNote, judgeRecord } from "./judge-record.js";
import type { Laboratory, MeasuredSpeed } from "./laboratory.js";
import { CALIBRATION_PART } from "./mixes.js";
import type { FitRequest } from "./request.js";
import type { SearchOutcome } from "./search.js";
import { median } from "./speed.js";
import { ALPHA, statisticOf } from "./statistic.js";
import { qualityOf, verdictOf } from "./verdict.js";
import { versions } from "./versions.js";
import { capitalized, keptText, percent } from "./wording.js";
import type { Yardstick } from "./yardstick.js";

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
  const costs = new CandidateCosts({ request, device, contextLength, laboratory });
  const here = costs.decodeModel;
  const original = planOriginal(base, { device, contextLength });
  const baselineSpeed = laboratory.speeds.get("baseline");
  const part = outcome.confirmed.size > 0 ? "confirmation" : "selection";
  return {
    format: "pare-certificate/1",
    ...verdict,
    bar: { keep: request.keep, metric: yardstick.metric, confidence: 0.95 },
    statistic: statisticOf(request, yardstick, findings.plan),
    minimize: request.minimize,
    device: {
      name: device.name,
      memoryBytes: usableMemoryBytes(device),
      ...(device.storageBytes === undefined ? {} : { storageBytes: device.storageBytes }),
      contextLength,
    },
    baseline: {
      path: base.name,
      ...(base.model.spec.name === undefined ? {} : { name: base.model.spec.name }),
      architecture: base.model.spec.architecture,
      sizeBytes: base.sizeBytes,
      bitsPerWeight: original.bitsPerWeight,
      parametersTotal: base.model.spec.parametersTotal,
      memoryBytes: original.memoryBytes,
      decodeTokensPerSecond: baselineSpeed?.decodeTokensPerSecond ?? null,
      prefillTokensPerSecond: baselineSpeed?.prefillTokensPerSecond ?? null,
      ...optional("quality", await laboratory.baselineQuality(part)),
      cost: costs.costOf(original),
      sha256: base.sha256,
    },
    winner: outcome.winner ? winnerRecord(findings, outcome.winner, costs) : null,
    trials: findings.candidates.map((candidate) => trialRecord(findings, candidate, costs)),
    task: {
      kind: yardstick.kind,
      path: request.task ?? request.text!.join(", "),
      ...(request.scorer === undefined ? {} : { scorer: request.scorer }),
      ...yardstick.sizes,
    },
    ...optional("judge", judgeRecord(yardstick.judges, laboratory.trials)),
    calibration: calibrationOf(findings),
    budget: {
      seconds: request.budget,
      secondsUsed: Math.round(laboratory.secondsUsed * 10) / 10,
      evaluations: request.evaluations,
      evaluationsUsed: laboratory.evaluationsUsed,
    },
    ...(here && here.medianErrorShare !== null ? { speedPrediction: speedPrediction(here, laboratory) } : {}),
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

/** What the winner was calibrated on; where it is no mix, what presets were. */
function calibrationOf({ request, laboratory, outcome: { winner } }: Findings): Certificate["calibration"] {
  if (winner?.mix) return laboratory.mixes.calibrationOf(winner.base);
  return { source: request.importance ?? CALIBRATION_PART, tokens: laboratory.calibrationTokens };
}

function winnerRecord(
  { bases, outcome, laboratory }: Findings,
  winner: PlannedCandidate,
  costs: CandidateCosts,
): NonNullable<Certificate["winner"]> {
  const { base } = winner;
  const speed = laboratory.speedOf(winner);
  return {
    path: "model.gguf",
    ...(base.model.spec.name === undefined ? {} : { name: base.model.spec.name }),
    candidate: bases.length > 1 ? `${base.name}: ${winner.name}` : winner.name,
    architecture: base.model.spec.architecture,
    sizeBytes: winner.sizeBytes,
    bitsPerWeight: winner.bitsPerWeight,
    parametersTotal: base.model.spec.parametersTotal,
    memoryBytes: winner.memoryBytes,
    decodeTokensPerSecond: speed?.decodeTokensPerSecond ?? null,
    prefillTokensPerSecond: speed?.prefillTokensPerSecond ?? null,
    ...optional("quality", outcome.confirmed.get(winner)),
    cost: costs.costOf(winner),
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

function trialRecord(findings: Findings, candidate: PlannedCandidate, costs: CandidateCosts): TrialRecord {
  const { outcome, laboratory, bases } = findings;
  const screening = outcome.screened.get(candidate);
  const quality = qualityOf(outcome, candidate);
  const measured = laboratory.speedOf(candidate);
  const cost = costs.costOf(candidate);
  return {
    id: candidate.id,
    model: candidate.base.name,
    candidate: bases.length > 1 ? `${candidate.base.name}: ${candidate.name}` : candidate.name,
    recipe: candidate.mix ? laboratory.mixes.recipeOf(candidate) : presetRecipe(candidate),
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
    ...optional("speed", speedRecord(measured, costs.predict(candidate))),
    cost,
    onFront: outcome.front.includes(candidate),
    ...standing(findings, candidate, quality),
    ...optional("seconds", laboratory.seconds.get(candidate)),
  };
}

function presetRecipe({ quantize }: PlannedCandidate): TrialRecord["recipe"] {
  if (!quantize) return {};
  const { preset, outputType, tokenEmbeddingType } = quantize;
  const types = { ...optional("outputType", outputType), ...optional("tokenEmbeddingType", tokenEmbeddingType) };
  return { quantize: { type: preset, ...types } };
}

/** On this machine where it was measured, else on the device. */
function speedRecord(measured: MeasuredSpeed | undefined, predicted: Speeds): TrialRecord["speed"] {
  if (measured) {
    const { decodeTokensPerSecond, prefillTokensPerSecond } = measured;
    return { decodeTokensPerSecond, prefillTokensPerSecond, source: "measured" };
  }
  const { decodeTokensPerSecond, prefillTokensPerSecond } = predicted;
  if (!decodeTokensPerSecond && !prefillTokensPerSecond) return undefined;
  return {
    decodeTokensPerSecond: decodeTokensPerSecond?.value ?? null,
    prefillTokensPerSecond: prefillTokensPerSecond?.value ?? null,
    source: "predicted",
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
  const dropped = outcome.dropped.get(candidate);
  if (dropped !== undefined) return { verdict: "not-measured", reason: capitalized(dropped) };
  if (outcome.screened.has(candidate)) {
    return {
      verdict: "not-measured",
      reason: outcome.front.includes(candidate)
        ? "On the front, but the answer lay elsewhere on it"
        : dominationText(outcome, candidate),
    };
  }
  return { verdict: "not-measured", reason: "A neighbour, or one with the same blocks, was measured in its place" };
}

/** Names what beats a candidate: on the front of its own model, no larger and closer. */
function dominationText({ front, screened }: SearchOutcome, candidate: PlannedCandidate): string {
  const { mean } = screened.get(candidate)!;
  const better = front
    .filter((one) => one.base === candidate.base && screened.get(one)!.mean <= mean)
    .sort((a, b) => a.sizeBytes - b.sizeBytes)[0];
  if (!better) return "Another is both cheaper and closer to the baseline";
  return `${better.name} is both cheaper and closer to the original: divergence ${screened.get(better)!.mean.toPrecision(3)} against ${mean.toPrecision(3)} nats`;
}

function notesOf(findings: Findings): string[] {
  const { bases, yardstick, outcome, device, request, contextLength, laboratory } = findings;
  const notes = [
    `Memory counts weights, KV cache of ${contextLength} tokens and compute buffers`,
    ...yardstick.notes,
    ...laboratory.mixes.notes,
  ];
  if (bases.some(({ model }) => isQuantizedSource(model))) {
    notes.push(
      "The source is quantized already, so candidates are rounded twice; start from full precision where you can",
    );
  }
  if (outcome.screened.size === 0) return notes;
  const judged = judgeRecord(yardstick.judges, laboratory.trials);
  if (judged) notes.push(judgeNote(judged));
  notes.push("Quality was measured without repacked weights, speed with them, on this machine");
  if (yardstick.metric === "score") notes.push("Share kept relates to the baseline's own score on the same cases");
  if (yardstick.metric === "score" && request.claim === "task") {
    notes.push(
      `The verdict is about the ${yardstick.sizes.confirmation} cases of the confirmation part; --claim population asks for proof on all cases like them`,
    );
  }
  const flawless = flawlessLow(findings);
  if (flawless < request.keep) {
    notes.push(
      `Too few confirmation cases for this bar: a candidate that loses nothing would keep at least ${percent(flawless)} for certain`,
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

/** What a candidate that answers exactly like a flawless baseline would be sure to keep, with the cases that may be drawn. */
function flawlessLow({ request, yardstick, plan }: Findings): number {
  if (yardstick.metric !== "score") return 1;
  const draw = { baseline: 1, candidate: 1, probability: 1, least: 1 };
  const size = request.claim === "task" ? yardstick.sizes.confirmation : Infinity;
  const draws = Array.from({ length: plan.confirmationSize }, (_, drawn) => {
    const chance = 1 / (yardstick.sizes.confirmation - drawn);
    return { ...draw, probability: chance, least: chance };
  });
  return keptSequence(draws, size, ALPHA).low;
}

function speedPrediction(here: DecodeModel, laboratory: Laboratory): NonNullable<Certificate["speedPrediction"]> {
  const rates = [...laboratory.speeds.values()].map(
    ({ made, decodeTokensPerSecond }) => bytesTouchedPerToken(made, 0) * decodeTokensPerSecond,
  );
  return {
    bandwidthBytesPerSecond: Math.round(median(rates)),
    medianErrorShare: here.medianErrorShare!,
    measurements: here.measurements,
  };
}
