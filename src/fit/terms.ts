// On what terms a fit works out costs: the request's, completed by the device's and by defaults.
import type { Terms } from "../cost/cost.js";
import { parseGrid } from "../cost/grid.js";
import { parseEndpointPrices } from "../cost/money.js";
import { WORKLOAD_DEFAULT, type Workload } from "../cost/workload.js";
import type { DeviceSpec } from "./device.js";
import type { FitRequest } from "./request.js";

export function workloadOf({ workload, utilisation }: Pick<FitRequest, "workload" | "utilisation">): Workload {
  return { ...WORKLOAD_DEFAULT, ...workload, ...(utilisation === undefined ? {} : { utilisation }) };
}

export function termsOf({ grid, endpoint }: Pick<FitRequest, "grid" | "endpoint">, device: DeviceSpec): Terms {
  return {
    watts: device.watts,
    pricePerHour: device.pricePerHour,
    grid: parseGrid(grid ?? "world"),
    endpoint: endpoint === undefined ? undefined : parseEndpointPrices(endpoint),
  };
}
