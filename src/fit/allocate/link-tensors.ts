// Tensors that share a type, as one unit of choice. Some kernels fuse the products with one input, and fewer units need
// fewer measurements.
import { PareError } from "../../errors.js";
import { layerOf, roleOf } from "../../passes/quantize/tensor-role.js";
import type { TensorOptions, TypeOption } from "./choose-types.js";

/** Tensors that get one type between them. */
export interface Unit {
  readonly names: readonly string[];
  readonly options: readonly TypeOption[];
}

/**
 * The links of the matrices that read one input: query, key and value of a layer, gate and up of a layer.
 *
 * @param names of the tensors that are free to choose: a pinned one must not be among them
 */
export function sameInputLinks(names: Iterable<string>): string[][] {
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const input = inputOf(name);
    if (input === undefined || layerOf(name) < 0) continue;
    const key = `${layerOf(name)} ${input}`;
    groups.set(key, [...(groups.get(key) ?? []), name]);
  }
  return [...groups.values()].filter((group) => group.length > 1);
}

function inputOf(name: string): string | undefined {
  if (!name.endsWith(".weight")) return undefined;
  const role = roleOf(name);
  if (role === "query" || role === "key" || role === "value") return "attention";
  // Experts read what the router sends them, a shared expert reads all.
  return role === "ffnGate" || role === "ffnUp" ? name.replace(/^.*ffn_(gate|up)/, "ffn") : undefined;
}

/**
 * The units of choice: linked tensors together, each other tensor by itself.
 *
 * @throws {PareError} when linked tensors have no type in common
 * @throws {RangeError} when a link names an unknown tensor, or one that another link names
 */
export function unitsOf(tensors: readonly TensorOptions[], links: readonly (readonly string[])[]): Unit[] {
  const free = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  if (free.size !== tensors.length) throw new RangeError("A tensor is given twice");
  const linked = links.map((names) => {
    const members = names.map((name) => {
      const member = free.get(name);
      if (!member) throw new RangeError(`Tensor "${name}" is linked twice, or there is none of that name`);
      free.delete(name);
      return member;
    });
    return { names, options: members.map(({ options }) => options).reduce(addCommon) };
  });
  const empty = linked.find(({ options }) => options.length === 0);
  if (empty)
    throw new PareError(`No type is open to each of ${empty.names.join(", ")}`, { hint: "Link fewer tensors" });
  return [...linked, ...[...free.values()].map(({ name, options }) => ({ names: [name], options }))];
}

/** The types in both lists, with the sums of their bytes, losses and costs. */
function addCommon(a: readonly TypeOption[], b: readonly TypeOption[]): TypeOption[] {
  return a.flatMap((one) => {
    const other = b.find(({ type }) => type === one.type);
    if (!other) return [];
    const { type } = one;
    const cost = (one.cost ?? 0) + (other.cost ?? 0);
    return [{ type, bytes: one.bytes + other.bytes, loss: one.loss + other.loss, cost }];
  });
}
