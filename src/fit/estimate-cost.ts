// `cost`: what a model file costs to run, measured on this machine and predicted for devices that are not at hand.
import { exactly } from "../cost/band.js";
import { type Cost, costOf } from "../cost/cost.js";
import type { Speeds } from "../cost/energy.js";
import { memoryCost } from "../cost/memory-cost.js";
import { parseGrid } from "../cost/grid.js";
import { parseEndpointPrices } from "../cost/money.js";
import { WORKLOAD_DEFAULT, type Workload, parseWorkload } from "../cost/workload.js";
import { UsageError, messageOf } from "../errors.js";
import { checkForEngine } from "../model/check.js";
import type { Model } from "../model/model.js";
import { openModel } from "../model/open.js";
import { optional } from "../support/optional.js";
import type { RunOptions } from "../support/progress.js";
import { type DeviceSpec, misfit, readDevice } from "./device.js";
import { measureLoad } from "./measure-load.js";
import { type SpeedResult, measureSpeed } from "./measure-speed.js";
import { specifiedSpeeds } from "./speed.js";
import { termsOf } from "./terms.js";

export interface CostRequest {
  /** Path of a GGUF file. */
  model: string;
  /** Names or files of devices; `this` is measured. `["this"]` by default. */
  devices?: readonly string[] | undefined;
  /** Tokens of prompt and answer, and answers at once, such as `512+128x4`. */
  workload?: string | undefined;
  /** Share of the paid hours in which it works; 0.5 by default. */
  utilisation?: number | undefined;
  /** Tokens that one answer's cache has room for; prompt and answer by default. */
  contextLength?: number | undefined;
  /** Region or grams of CO2 per kilowatt-hour; `world` by default. */
  grid?: string | undefined;
  /** USD per million tokens of prompt and answer, such as `0.15/0.60`. */
  endpoint?: string | undefined;
  /** In place of the device's. */
  watts?: number | undefined;
  /** USD for an hour, in place of the device's. */
  pricePerHour?: number | undefined;
  /** USD for a kilowatt-hour, where the machine is one's own. */
  pricePerKilowattHour?: number | undefined;
  threads?: number | undefined;
}

export interface CostResult {
  model: string;
  /** One for each device. */
  costs: (Cost & { misfit?: string })[];
}

/** Time for one measurement of speed, and for one of latencies. */
const SECONDS_MAX = 10;

/**
 * Works out what a model costs on devices.
 *
 * @throws {UsageError} when no such device ships with Pare, or workload, grid or prices can't be meant
 * @throws {FormatError} when the model or a device file is unsound
 * @throws {EngineError} when it can't be run here, and `this` is among the devices
 * @example
 * const { costs } = await cost({ model: "model.gguf", devices: ["this", "raspberry-pi-5"], endpoint: "0.15/0.60" });
 */
export async function cost(request: CostRequest, options: RunOptions = {}): Promise<CostResult> {
  const { devices = ["this"] } = request;
  const asked = readTerms(request);
  await using model = await openModel(request.model, options);
  await checkForEngine(model);
  const costs: CostResult["costs"] = [];
  for (const name of devices) {
    const device = await readDevice(name, options);
    costs.push(await costOn(device, name === "this", model, { ...request, ...asked }, options));
  }
  return { model: request.model, costs };
}

/** What is asked, read before anything is measured. */
function readTerms({ workload, utilisation, grid, endpoint }: CostRequest): Asked {
  try {
    if (grid !== undefined) parseGrid(grid);
    if (endpoint !== undefined) parseEndpointPrices(endpoint);
    const tokens = workload === undefined ? {} : parseWorkload(workload);
    return { asked: { ...WORKLOAD_DEFAULT, ...tokens, ...optional("utilisation", utilisation) } };
  } catch (cause) {
    throw new UsageError(messageOf(cause), { cause });
  }
}

interface Asked {
  asked: Workload;
}

async function costOn(
  device: DeviceSpec,
  isHere: boolean,
  model: Model,
  request: CostRequest & Asked,
  options: RunOptions,
): Promise<CostResult["costs"][number]> {
  const { asked: workload } = request;
  const contextLength = request.contextLength ?? workload.promptTokens + workload.answerTokens;
  const measured = isHere ? await measureHere(request, workload, options) : undefined;
  const memory = memoryCost(model, { contextLength, concurrency: workload.concurrency });
  const { watts = device.watts, pricePerHour = device.pricePerHour, pricePerKilowattHour } = request;
  const reason = misfit(device, { memoryBytes: memory.totalBytes, fileBytes: model.fileSizeBytes! });
  const result = costOf({
    device: device.name,
    source: measured ? "measured" : "predicted",
    workload,
    contextLength,
    fileBytes: model.fileSizeBytes!,
    memory: measured ? { ...memory, residentBytes: measured.speed.memory.residentBytes } : memory,
    speeds: measured ? measuredSpeeds(measured.speed) : specifiedSpeeds(device, model, contextLength),
    load: measured?.load,
    meter: measured?.speed.energy,
    terms: { ...termsOf(request, device), watts, pricePerHour, pricePerKilowattHour },
  });
  return { ...result, ...(reason === undefined ? {} : { misfit: reason }) };
}

async function measureHere({ model, threads }: CostRequest, workload: Workload, options: RunOptions) {
  const { promptTokens, answerTokens, concurrency } = workload;
  const speed = await measureSpeed(
    { model, promptTokens, decodeTokens: answerTokens, threads, secondsMax: SECONDS_MAX, meterEnergy: true },
    options,
  );
  const concurrencies = [...new Set([1, concurrency])];
  const load = await measureLoad(
    { model, concurrencies, promptTokens, answerTokens, threads, secondsMax: SECONDS_MAX },
    options,
  );
  return { speed, load };
}

function measuredSpeeds({ prefillTokensPerSecond, decodeTokensPerSecond }: SpeedResult): Speeds {
  return {
    prefillTokensPerSecond: exactly(prefillTokensPerSecond),
    decodeTokensPerSecond: exactly(decodeTokensPerSecond),
  };
}
