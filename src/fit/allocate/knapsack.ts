// The multiple-choice knapsack: for each item one of several choices, the bytes of all within a budget, the total value
// (here a loss) least. First the relaxed problem is solved exactly, along the lower convex hull of each item's choices
// (Sinha and Zoltners, 1979, "The multiple-choice knapsack problem", Operations Research 27); it also bounds what any
// packing can reach. Then exchanges spend what is left. Plain numbers; knows nothing of tensors and types.
import { improvePicks } from "./exchange.js";

/** One way to fill an item's place. */
export interface Choice {
  readonly bytes: number;
  /** To be made small in total. */
  readonly value: number;
}

/** One choice for each item. */
export interface Packing {
  /** For each item the index of its choice. */
  readonly picks: readonly number[];
  readonly bytes: number;
  readonly value: number;
  /** No packing within the budget has a lower value. */
  readonly valueBound: number;
}

/** The choices of an item that are worth a look: ever more bytes, ever less value. */
export type Frontier = readonly (Choice & { readonly index: number })[];

/**
 * Packs items so that the total value is small.
 *
 * @param items each with at least one choice, in any order
 * @param floorBytes a packing below this is filled up where that costs next to nothing
 * @returns undefined when even the smallest choices exceed the budget
 * @throws {RangeError} when an item has no choice
 */
export function packItems(
  items: readonly (readonly Choice[])[],
  budgetBytes: number,
  floorBytes = 0,
): Packing | undefined {
  const frontiers = items.map(frontierOf);
  const start = relax(frontiers, budgetBytes);
  if (!start) return undefined;
  const limits = { budgetBytes, floorBytes };
  const [below, above] = start.starts.map((steps) => improvePicks(frontiers, steps, limits)) as [number[], number[]];
  const best = isBetter(frontiers, above, below, limits) ? above : below;
  return {
    picks: best.map((at, item) => frontiers[item]![at]!.index),
    ...totals(frontiers, best),
    valueBound: start.valueBound,
  };
}

/** Bytes and value of one pick per frontier. */
export function totals(frontiers: readonly Frontier[], picks: readonly number[]): Choice {
  let [bytes, value] = [0, 0];
  for (const [item, frontier] of frontiers.entries()) {
    const choice = frontier[picks[item]!]!;
    bytes += choice.bytes;
    value += choice.value;
  }
  return { bytes, value };
}

function isBetter(
  frontiers: readonly Frontier[],
  a: readonly number[],
  b: readonly number[],
  { floorBytes }: { floorBytes: number },
): boolean {
  const [one, other] = [totals(frontiers, a), totals(frontiers, b)];
  const [isFull, isOtherFull] = [one.bytes >= floorBytes, other.bytes >= floorBytes];
  return isFull === isOtherFull ? one.value < other.value : isFull;
}

/** Leaves out choices that another beats in both bytes and value; smallest first. */
function frontierOf(choices: readonly Choice[]): Frontier {
  if (choices.length === 0) throw new RangeError("Cannot pack an item without a choice");
  const sorted = choices
    .map(({ bytes, value }, index) => ({ bytes, value, index }))
    .sort((a, b) => a.bytes - b.bytes || a.value - b.value);
  const frontier: (Choice & { index: number })[] = [];
  for (const choice of sorted) if (choice.value < (frontier.at(-1)?.value ?? Infinity)) frontier.push(choice);
  return frontier;
}

interface HullStep {
  readonly item: number;
  /** Position on the item's frontier after the step. */
  readonly to: number;
  readonly bytes: number;
  readonly gain: number;
}

/**
 * Takes hull steps by gain per byte until one does not fit. That one is the split: a part of it would use the budget up
 * and is the relaxed optimum. Two packings to start from: without it, and with it, which is over the budget.
 */
function relax(frontiers: readonly Frontier[], budgetBytes: number) {
  const picks = frontiers.map(() => 0);
  let { bytes, value } = totals(frontiers, picks);
  if (bytes > budgetBytes) return undefined;
  const steps = frontiers.flatMap(hullSteps).sort((a, b) => b.gain * a.bytes - a.gain * b.bytes || a.to - b.to);
  for (const step of steps) {
    if (bytes + step.bytes > budgetBytes) {
      const valueBound = value - (step.gain * (budgetBytes - bytes)) / step.bytes;
      const above = picks.with(step.item, step.to);
      return { valueBound, starts: [picks, above] };
    }
    picks[step.item] = step.to;
    bytes += step.bytes;
    value -= step.gain;
  }
  return { valueBound: value, starts: [picks, picks] };
}

/** The frontier's lower convex hull, as steps of falling gain per byte. */
function hullSteps(frontier: Frontier, item: number): HullStep[] {
  const hull: number[] = [];
  const gainPerByte = (from: number, to: number) =>
    (frontier[from]!.value - frontier[to]!.value) / (frontier[to]!.bytes - frontier[from]!.bytes);
  for (const to of frontier.keys()) {
    while (hull.length >= 2 && gainPerByte(hull.at(-2)!, hull.at(-1)!) <= gainPerByte(hull.at(-1)!, to)) hull.pop();
    hull.push(to);
  }
  return hull.slice(1).map((to, i) => {
    const from = hull[i]!;
    const bytes = frontier[to]!.bytes - frontier[from]!.bytes;
    return { item, to, bytes, gain: frontier[from]!.value - frontier[to]!.value };
  });
}
