// What a model's table of measurements is filled with: for every tensor the layer error that each type leaves, and the
// divergence that one rounding of it causes. Group by group of layers, so that only a few Hessians are there at a time.
import { cutIntoGroups } from "../../calibrate/statistics-memory.js";
import type { PairedStatistics } from "../../calibrate/paired-statistics.js";
import { GGML_TYPES, type GgmlType } from "../../formats/gguf/ggml-types.js";
import type { Effort } from "../../passes/quantize/round/problem.js";
import { layerOf } from "../../passes/quantize/tensor-role.js";
import type { RoundingPool } from "../../passes/quantize/round/rounding-pool.js";
import type { OnProgress } from "../../support/progress.js";
import type { Measurements } from "./measurement-schema.js";
import { kindOf } from "./product-model.js";
import { roundTensor, sampleErrors } from "./round-tensor.js";
import { plainInput, roundingInputs } from "./rounding-input.js";
import type { WeightLab } from "./weight-lab.js";

export interface MeasureRequest {
  lab: WeightLab;
  statistics: PairedStatistics;
  pool: RoundingPool;
  windows: readonly Int32Array[];
  contextLength: number;
  /** The types that are open to each tensor. */
  types: ReadonlyMap<string, readonly GgmlType[]>;
  sampleRows: number;
  /** Substitutions at most. */
  substitutions: number;
  effort: Effort;
  /** Memory for sums. */
  sumsBytes: number;
  onProgress: OnProgress;
  breathe: () => Promise<void>;
}

/** Bits per weight at which a substitution is measured: coarse enough to stand out from noise, fine enough to be like what is chosen. */
const PROBE_BITS = 4;

/** Measures all tensors that have a choice. */
export async function measureTensors(request: MeasureRequest): Promise<Measurements["tensors"]> {
  const { lab, statistics, types } = request;
  const measured: Measurements["tensors"] = {};
  const open = [...types].filter(([, list]) => list.length > 1).map(([name]) => name);
  const inputs = (await statistics.inputs()).filter(({ weights }) => weights.some((name) => open.includes(name)));
  const multiplied = new Set(inputs.flatMap(({ weights }) => weights));
  const probed = chooseProbed(open, request.substitutions);
  let done = 0;
  const measure = async (name: string, tensor: Parameters<typeof sampleErrors>[1]): Promise<void> => {
    request.onProgress({ stage: "measuring tensors", done: done++, total: open.length, unit: "tensors", detail: name });
    const { type, shape } = lab.source.tensor(name);
    measured[name] = { type, shape: [...shape], types: await measureTensor(request, tensor, probed.has(name)) };
    await request.breathe();
  };
  for (const name of open) {
    if (multiplied.has(name)) continue;
    const { shape } = lab.source.tensor(name);
    await measure(name, { name, shape, values: lab.originalValues(name), inputs: [plainInput(shape[0]!)] });
  }
  const shape = { isPaired: false, contextLength: request.contextLength };
  for (const group of cutIntoGroups(inputs, request.sumsBytes, shape)) {
    const wanted = group.flatMap(({ weights }) => weights);
    using found = await statistics.collect(request.windows, wanted, { onProgress: request.onProgress });
    for (const input of found.inputs) {
      const rounding = roundingInputs(input, 0);
      for (const name of input.weights.filter((weight) => open.includes(weight))) {
        const values = lab.originalValues(name);
        await measure(name, { name, shape: lab.source.tensor(name).shape, values, inputs: rounding });
      }
    }
  }
  return measured;
}

/**
 * The tensors to substitute: all, or where they are too many every other one like the fields of a chessboard, so that each
 * layer and each kind is seen, and those outside the layers.
 */
function chooseProbed(names: readonly string[], most: number): Set<string> {
  if (names.length <= most) return new Set(names);
  const kinds = [...new Set(names.map(kindOf))];
  const every = Math.ceil(names.length / most);
  return new Set(names.filter((name) => layerOf(name) < 0 || (layerOf(name) + kinds.indexOf(kindOf(name))) % every === 0));
}

async function measureTensor(request: MeasureRequest, tensor: Parameters<typeof sampleErrors>[1], isProbed: boolean) {
  const { lab, pool, sampleRows, effort } = request;
  const { name } = tensor;
  const own = lab.source.tensor(name).type;
  const candidates = request.types.get(name)!.filter((type) => type !== own && GGML_TYPES[type].quantized);
  const errors = await sampleErrors(pool, tensor, candidates, sampleRows, effort);
  const probe = probeOf(candidates);
  const entries: Measurements["tensors"][string]["types"] = {};
  for (const [type, layerError] of errors) entries[type] = { layerError };
  if (probe === undefined || !isProbed) return entries;
  const rounded = await roundTensor(pool, tensor, probe, "fast");
  lab.substituteBytes(name, probe, rounded.bytes);
  const { mean, standardError, tokens, p99, sameTopRate } = lab.divergence();
  lab.restore(name);
  entries[probe] = {
    layerError: rounded.power > 0 ? rounded.loss / rounded.power : errors.get(probe)!,
    divergence: { mean, standardError, tokens, p99, sameTopRate },
  };
  return entries;
}

/** The type whose bits are nearest to those of a typical mix. */
function probeOf(types: readonly GgmlType[]): GgmlType | undefined {
  const distance = (type: GgmlType) => Math.abs(GGML_TYPES[type].bitsPerWeight - PROBE_BITS);
  return [...types].sort((a, b) => distance(a) - distance(b))[0];
}
