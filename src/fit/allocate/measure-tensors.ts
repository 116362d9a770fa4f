// What a model's table of measurements is filled with: for every tensor the layer error that each type leaves, and the
// divergence that one rounding of it causes. Group by group of layers, so that only a few Hessians are there at a time.
import { cutIntoGroups, sumsBudget } from "../../calibrate/statistics-memory.js";
import type { InputStatistics } from "../../calibrate/paired-sums.js";
import type { PairedStatistics } from "../../calibrate/paired-statistics.js";
import { GGML_TYPES, type GgmlType } from "../../formats/gguf/ggml-types.js";
import type { Effort } from "../../passes/quantize/round/problem.js";
import { layerOf } from "../../passes/quantize/tensor-role.js";
import type { RoundingInput, RoundingPool } from "../../passes/quantize/round/rounding-pool.js";
import type { OnProgress } from "../../support/progress.js";
import type { Measurements } from "./measurement-schema.js";
import { kindOf } from "./product-model.js";
import { type RoundedTensor, type TensorToRound, roundTensor, sampleErrors } from "./round-tensor.js";
import { forgetReleased, plainInput, releaseInputs, roundingInputs } from "./rounding-input.js";
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
  /** Windows of the baseline on which one is measured. */
  probeWindows: number;
  effort: Effort;
  /** Memory for sums; a wide model's take more, see `sumsBudget`. */
  sumsBytes: number;
  onProgress: OnProgress;
  breathe: () => Promise<void>;
}

/** Bits per weight at which a substitution is measured: coarse enough to stand out from noise, fine enough to be like what is chosen. */
const PROBE_BITS = 4;

/** Measures all tensors that have a choice. */
export async function measureTensors(request: MeasureRequest): Promise<Measurements["tensors"]> {
  const { lab, statistics, types } = request;
  const open = [...types].filter(([, list]) => list.length > 1).map(([name]) => name);
  const inputs = (await statistics.inputs()).filter(({ weights }) => weights.some((name) => open.includes(name)));
  const multiplied = new Set(inputs.flatMap(({ weights }) => weights));
  const probed = chooseProbed(open, request.substitutions);
  const measured: Measurements["tensors"] = {};
  const measure = async (names: readonly string[], inputsOf: (name: string) => readonly RoundingInput[]) => {
    const rounded = await Promise.all(
      names.map((name) => {
        const { shape } = lab.source.tensor(name);
        const tensor = { name, shape, values: lab.originalValues(name), inputs: inputsOf(name) };
        return roundOnTrial(request, tensor, probed.has(name));
      }),
    );
    for (const [i, name] of names.entries()) {
      const done = Object.keys(measured).length;
      request.onProgress({ stage: "measuring tensors", done, total: open.length, unit: "tensors", detail: name });
      const { type, shape } = lab.source.tensor(name);
      measured[name] = { type, shape: [...shape], types: substitute(request, name, rounded[i]!) };
      await request.breathe();
    }
  };
  for (const name of open.filter((one) => !multiplied.has(one))) {
    await measure([name], () => [plainInput(lab.source.tensor(name).shape[0]!)]);
  }
  const shape = { isPaired: false, contextLength: request.contextLength };
  for (const group of cutIntoGroups(inputs, sumsBudget(inputs, shape, request.sumsBytes), shape)) {
    const wanted = group.flatMap(({ weights }) => weights);
    using found = await statistics.collect(request.windows, wanted, { onProgress: request.onProgress });
    for (const layer of byLayer(found.inputs)) {
      const rounding = new Map<string, RoundingInput[]>();
      for (const input of layer) {
        const shared = roundingInputs(input, 0);
        for (const name of input.weights) if (open.includes(name)) rounding.set(name, shared);
      }
      await measure([...rounding.keys()], (name) => rounding.get(name)!);
      releaseInputs(new Set([...rounding.values()].flat()));
    }
  }
  forgetReleased();
  return measured;
}

/** What one tensor came to on the workers. */
interface Trial {
  errors: ReadonlyMap<GgmlType, number>;
  probe?: { type: GgmlType; rounded: RoundedTensor };
}

async function roundOnTrial(request: MeasureRequest, tensor: TensorToRound, isProbed: boolean): Promise<Trial> {
  const { lab, pool, sampleRows, effort } = request;
  const own = lab.source.tensor(tensor.name).type;
  const candidates = request.types.get(tensor.name)!.filter((type) => type !== own && GGML_TYPES[type].quantized);
  const type = isProbed ? probeOf(candidates) : undefined;
  const [errors, rounded] = await Promise.all([
    sampleErrors(pool, tensor, candidates, sampleRows, effort),
    type && roundTensor(pool, tensor, type, "fast"),
  ]);
  return { errors, ...(type && rounded && { probe: { type, rounded } }) };
}

function substitute({ lab, probeWindows: windows }: MeasureRequest, name: string, { errors, probe }: Trial) {
  const entries: Measurements["tensors"][string]["types"] = {};
  for (const [type, layerError] of errors) entries[type] = { layerError };
  if (!probe) return entries;
  const { type, rounded } = probe;
  lab.substituteBytes(name, type, rounded.bytes);
  const { mean, standardError, tokens, p99, sameTopRate } = lab.divergence({ windows });
  lab.restore(name);
  // The substitute was rounded in haste; what is written later is nearer by as much as the sample says.
  const layerError = errors.get(type)!;
  const hasty = rounded.power > 0 ? rounded.loss / rounded.power : layerError;
  const share = hasty > 0 ? Math.min(1, layerError / hasty) : 1;
  const divergence = {
    mean: mean * share,
    standardError: standardError * share,
    tokens,
    p99: p99 * share,
    sameTopRate,
  };
  entries[type] = { layerError, divergence };
  return entries;
}

function byLayer(inputs: readonly InputStatistics[]): InputStatistics[][] {
  const layers = new Map<number | undefined, InputStatistics[]>();
  for (const input of inputs) layers.set(input.layer, [...(layers.get(input.layer) ?? []), input]);
  return [...layers.values()];
}

/**
 * The tensors to substitute: all, or where they are too many every second or third like the fields of a chessboard, so that
 * each layer and each kind is seen, and those outside the layers.
 */
function chooseProbed(names: readonly string[], most: number): Set<string> {
  if (names.length <= most) return new Set(names);
  const kinds = [...new Set(names.map(kindOf))];
  const every = Math.ceil(names.length / most);
  return new Set(
    names.filter((name) => layerOf(name) < 0 || (layerOf(name) + kinds.indexOf(kindOf(name))) % every === 0),
  );
}

/** The type whose bits are nearest to those of a typical mix. */
function probeOf(types: readonly GgmlType[]): GgmlType | undefined {
  const distance = (type: GgmlType) => Math.abs(GGML_TYPES[type].bitsPerWeight - PROBE_BITS);
  return [...types].sort((a, b) => distance(a) - distance(b))[0];
}
