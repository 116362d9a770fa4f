// Which inputs a model's linear layers read: found by looking at one small graph. Weights that read one tensor (q, k and v;
// gate and up; the experts of a layer) share an input, so its statistics are kept once.
import { PareError } from "../errors.js";
import type { LlamaModel } from "../native/llama-model.js";
import type { Observer } from "../native/observe.js";
import type { SumShape } from "./hessian-products.js";
import { InputCollector, type InputGroup, OUTPUT_WEIGHT, TIED_OUTPUT_WEIGHT } from "./input-collector.js";
import { runWindows } from "./run-windows.js";

/** One input of one or more weights. Its name is that of the weight that computes first. */
export interface DistinctInput extends SumShape {
  /** All weights that read it, the first included. */
  readonly weights: readonly string[];
  /** The layer it belongs to; undefined for what enters the output matrix. */
  readonly layer: number | undefined;
  /** Values of one token: more than `columns` where each expert gets its own row. */
  readonly valuesPerToken: number;
  /** The graph's node that holds it, where its name says so: then no product need be computed to see it. */
  readonly node: string | undefined;
}

/** Weights behind the last layer: the output matrix, or the embedding where a model uses that for both. */
const OUTPUTS = [OUTPUT_WEIGHT, TIED_OUTPUT_WEIGHT];
/** Tokens that show which layers a model has and how wide they are. */
const PROBE_TOKENS = 32;

/**
 * Lists the inputs of all linear layers in the order in which they are computed, the output matrix's last.
 *
 * @throws {EngineError} when llama.cpp can't run the model
 */
export async function findInputs(model: LlamaModel, threads: number): Promise<DistinctInput[]> {
  const collector = new InputCollector({ outputs: OUTPUTS });
  const nodes = new Map<string, number>();
  const observer: Observer = {
    wants: (tensor) => {
      const { name } = tensor;
      nodes.set(name, (nodes.get(name) ?? 0) + 1);
      collector.wants(tensor);
      return false;
    },
    sees: () => true,
  };
  const tokens = Int32Array.from({ length: PROBE_TOKENS }, (_, token) => token % model.vocabularySize);
  await runWindows({ models: [{ model, observer }], windows: [tokens], threads, context: SILENT });
  return [...collector.groups.values()].map((group) => distinctInput(group, nodes.get(group.node) === 1));
}

/**
 * Those of the inputs that weights read.
 *
 * @throws {PareError} when the model multiplies by no weight of a name
 */
export function inputsOf(inputs: readonly DistinctInput[], weights: Iterable<string>): DistinctInput[] {
  const wanted = new Set(weights);
  const found = inputs.filter((input) => input.weights.some((weight) => wanted.has(weight)));
  for (const { weights: names } of found) for (const name of names) wanted.delete(name);
  if (wanted.size === 0) return found;
  const [first] = wanted;
  throw new PareError(`Cannot look at what enters "${first}": the model's graph multiplies no rows by it`);
}

/** For short runs that nobody waits for. */
export const SILENT = { progress: () => undefined, flush: () => Promise.resolve() };

function distinctInput(group: InputGroup, hasOwnNode: boolean): DistinctInput {
  const { name, weights, columns, matrices, isRouted, elements, node } = group;
  const layer = /^blk\.(\d+)\./.exec(name)?.[1];
  return {
    name,
    weights: [...weights],
    columns,
    matrices,
    isRouted,
    layer: layer === undefined ? undefined : Number(layer),
    valuesPerToken: elements / PROBE_TOKENS,
    node: hasOwnNode && !isRouted && matrices === 1 ? node : undefined,
  };
}
