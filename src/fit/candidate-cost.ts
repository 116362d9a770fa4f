// What each candidate costs on the device: from measurements where it was run here and the device is this machine, otherwise predicted.
import { type Band, exactly, within } from "../cost/band.js";
import { type Cost, costOf } from "../cost/cost.js";
import type { Speeds } from "../cost/energy.js";
import { memoryCost } from "../cost/memory-cost.js";
import { optional } from "../support/optional.js";
import type { PlannedCandidate } from "./candidates.js";
import { type DecodeModel, decodeWork, fitDecodeModel, predictDecode } from "./decode-model.js";
import type { DeviceSpec } from "./device.js";
import type { Laboratory } from "./laboratory.js";
import type { FitRequest } from "./request.js";
import { median, specifiedSpeeds } from "./speed.js";
import { termsOf, workloadOf } from "./terms.js";

/** With fewer than two measurements nobody knows how far off a prediction is. */
const ERROR_SHARE_UNKNOWN = 0.3;

export interface CostSetup {
  request: FitRequest;
  device: DeviceSpec;
  contextLength: number;
  laboratory: Laboratory;
}

/** Works out costs, all by the same calibration. */
export class CandidateCosts {
  readonly #setup: CostSetup;
  /** How fast this machine decodes; absent where another device is asked about, or nothing was measured. */
  readonly decodeModel: DecodeModel | undefined;

  constructor(setup: CostSetup) {
    this.#setup = setup;
    const measurements = setup.laboratory.decodeMeasurements();
    if (measurements.length > 0) this.decodeModel = fitDecodeModel(measurements);
  }

  costOf(candidate: PlannedCandidate): Cost {
    const { request, device, contextLength, laboratory } = this.#setup;
    const workload = workloadOf(request, contextLength);
    const measured = request.device === "this" ? laboratory.speedOf(candidate) : undefined;
    const memory = memoryCost(candidate.made, {
      contextLength,
      concurrency: workload.concurrency,
      batch: candidate.microBatchSize,
    });
    return costOf({
      device: device.name,
      source: measured ? "measured" : "predicted",
      workload,
      contextLength,
      fileBytes: candidate.sizeBytes,
      memory: { ...memory, ...optional("residentBytes", measured?.memory.residentBytes) },
      speeds: measured ? measuredSpeeds(measured) : this.predict(candidate),
      load: measured && laboratory.loadsOf(candidate),
      meter: measured?.energy,
      terms: termsOf(request, device),
    });
  }

  /** What is to be expected of a candidate on the device. */
  predict({ made }: PlannedCandidate): Speeds {
    const { request, device, contextLength, laboratory } = this.#setup;
    if (request.device !== "this") return specifiedSpeeds(device, made, contextLength);
    const work = decodeWork(made, laboratory.productSpeeds);
    const decodeModel = this.decodeModel;
    return {
      decodeTokensPerSecond:
        work && decodeModel ? within(predictDecode(work, decodeModel), errorShare(decodeModel)) : null,
      prefillTokensPerSecond: this.#predictPrefill(made.spec.parametersActive),
    };
  }

  /** Arithmetic sets the pace: tokens per second × active parameters is about the same for all that were measured. */
  #predictPrefill(parametersActive: number): Band | null {
    const rates = [...this.#setup.laboratory.speeds.values()].map(
      ({ prefillTokensPerSecond, made }) => prefillTokensPerSecond * made.spec.parametersActive,
    );
    if (rates.length === 0) return null;
    return {
      value: median(rates) / parametersActive,
      low: Math.min(...rates) / parametersActive,
      high: Math.max(...rates) / parametersActive,
    };
  }
}

function measuredSpeeds(speed: { prefillTokensPerSecond: number; decodeTokensPerSecond: number }): Speeds {
  return {
    prefillTokensPerSecond: exactly(speed.prefillTokensPerSecond),
    decodeTokensPerSecond: exactly(speed.decodeTokensPerSecond),
  };
}

function errorShare({ errorShares }: DecodeModel): number {
  return errorShares.length > 0 ? Math.max(...errorShares) : ERROR_SHARE_UNKNOWN;
}
