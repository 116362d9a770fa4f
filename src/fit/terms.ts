// On what terms a fit works out costs: the request's, completed by the device's and by defaults.
import type { Terms } from "../cost/cost.js";
import { parseGrid } from "../cost/grid.js";
import { parseEndpointPrices } from "../cost/money.js";
import { WORKLOAD_DEFAULT, type Workload } from "../cost/workload.js";
import type { DeviceSpec } from "./device.js";
import type { FitRequest } from "./request.js";

/** Where no request is described, the usual one, cut to what the context holds: a quarter of it at most for the answer. */
export function workloadOf(
  { workload, utilisation }: Pick<FitRequest, "workload" | "utilisation">,
  contextLength: number,
): Workload {
  const answerTokens = Math.max(1, Math.min(WORKLOAD_DEFAULT.answerTokens, Math.floor(contextLength / 4)));
  const promptTokens = Math.max(1, Math.min(WORKLOAD_DEFAULT.promptTokens, contextLength - answerTokens));
  return {
    ...WORKLOAD_DEFAULT,
    ...(workload ?? { promptTokens, answerTokens }),
    ...(utilisation === undefined ? {} : { utilisation }),
  };
}

export function termsOf({ grid, endpoint }: Pick<FitRequest, "grid" | "endpoint">, device: DeviceSpec): Terms {
  return {
    watts: device.watts,
    pricePerHour: device.pricePerHour,
    grid: parseGrid(grid ?? "world"),
    endpoint: endpoint === undefined ? undefined : parseEndpointPrices(endpoint),
  };
}
