// Improves a packing by exchanges: one to three items change their choices at once, some giving the bytes that others
// need. Each round takes the exchange that lowers the value most. A packing over the budget is first brought within it.
import type { Frontier } from "./knapsack.js";

/**
 * A predicted value is uncertain by several percent, so bytes that were granted are used where they cost at most so large a
 * share of it.
 */
const FILL_LOSS_SHARE = 0.01;
/** Exchanges of three items are tried up to so many moves; with more items those of two come within 0.1 % anyway. */
const MOVES_FOR_TRIPLES = 400;

/** One item takes another place on its frontier. */
interface Move {
  readonly item: number;
  readonly to: number;
  readonly bytes: number;
  readonly value: number;
}

/** Nothing changes: the other half of an exchange of a single item. */
const STAY: Move = { item: -1, to: 0, bytes: 0, value: 0 };

interface Limits {
  readonly budgetBytes: number;
  readonly floorBytes: number;
}

/**
 * The picks after all exchanges that help, within the budget wherever the smallest picks are.
 *
 * @param picks positions on the frontiers; left as they are
 */
export function improvePicks(frontiers: readonly Frontier[], picks: readonly number[], limits: Limits): number[] {
  const state = new State(frontiers, picks);
  while (state.bytes > limits.budgetBytes) {
    const cheapest = cheapestSaving(state.moves());
    if (!cheapest) break;
    state.apply([cheapest]);
  }
  for (;;) {
    const exchange = bestExchange(state.moves(), limits.budgetBytes - state.bytes);
    if (!exchange || exchange.value >= -1e-12 * Math.abs(state.value)) break;
    state.apply(exchange.moves);
  }
  if (state.bytes < limits.floorBytes) {
    const exchange = fillingExchange(state.moves(), limits.floorBytes - state.bytes, limits.budgetBytes - state.bytes);
    if (exchange && exchange.value <= FILL_LOSS_SHARE * Math.abs(state.value)) state.apply(exchange.moves);
  }
  return state.picks;
}

/** Picks with their running totals. */
class State {
  readonly picks: number[];
  bytes = 0;
  value = 0;
  readonly #frontiers: readonly Frontier[];

  constructor(frontiers: readonly Frontier[], picks: readonly number[]) {
    this.#frontiers = frontiers;
    this.picks = [...picks];
    this.#sum();
  }

  /** Every change of a single item, by bytes. */
  moves(): Move[] {
    const moves = this.#frontiers.flatMap((frontier, item) => {
      const now = frontier[this.picks[item]!]!;
      return frontier.flatMap(({ bytes, value }, to) =>
        to === this.picks[item] ? [] : [{ item, to, bytes: bytes - now.bytes, value: value - now.value }],
      );
    });
    return moves.sort((a, b) => a.bytes - b.bytes);
  }

  apply(moves: readonly Move[]): void {
    for (const { item, to } of moves) if (item >= 0) this.picks[item] = to;
    this.#sum();
  }

  /** Summed anew each time, so that rounding errors do not add up. */
  #sum(): void {
    this.bytes = 0;
    this.value = 0;
    for (const [item, frontier] of this.#frontiers.entries()) {
      const { bytes, value } = frontier[this.picks[item]!]!;
      this.bytes += bytes;
      this.value += value;
    }
  }
}

/** The move that saves bytes at the lowest price per byte. */
function cheapestSaving(moves: readonly Move[]): Move | undefined {
  let best: Move | undefined;
  for (const move of moves) {
    if (move.bytes >= 0) break;
    if (!best || move.value * best.bytes > best.value * move.bytes) best = move; // both bytes are negative
  }
  return best;
}

interface Exchange {
  readonly moves: readonly Move[];
  readonly value: number;
}

/**
 * The exchange of up to three items, of two where there are many, that has the least value and adds no more than
 * `roomBytes`. The last partner is looked up: of all moves that still fit, the cheapest of an item not in it already.
 *
 * @param moves by bytes
 */
function bestExchange(moves: readonly Move[], roomBytes: number): Exchange | undefined {
  const cheapest = cheapestUpTo(moves);
  const firsts = [STAY, ...moves];
  let best: Exchange | undefined;
  const consider = (one: Move, other: Move) => {
    const room = roomBytes - one.bytes - other.bytes;
    const count = countUpTo(moves, room);
    const last =
      count > 0 ? cheapest[count - 1]!.find(({ item }) => item !== one.item && item !== other.item) : undefined;
    for (const partner of [last, room >= 0 ? STAY : undefined]) {
      const value = partner ? one.value + other.value + partner.value : Infinity;
      if (value < (best?.value ?? Infinity)) best = { moves: [one, other, partner!], value };
    }
  };
  for (const move of firsts) consider(move, STAY);
  if (moves.length > MOVES_FOR_TRIPLES) return best;
  for (const [i, one] of moves.entries()) {
    for (let j = 0; j < i; j++) if (moves[j]!.item !== one.item) consider(one, moves[j]!);
  }
  return best;
}

/** For each prefix of the moves the cheapest one of each of three items, cheapest first. */
function cheapestUpTo(moves: readonly Move[]): (readonly Move[])[] {
  let best: readonly Move[] = [];
  return moves.map((move) => {
    const rival = best.find(({ item }) => item === move.item);
    if (rival && rival.value <= move.value) return best;
    if (!rival && best.length === 3 && best[2]!.value <= move.value) return best;
    best = [...best.filter((other) => other !== rival), move].sort((a, b) => a.value - b.value).slice(0, 3);
    return best;
  });
}

/** How many of the moves, which are sorted by bytes, add at most so many. */
function countUpTo(moves: readonly Move[], bytes: number): number {
  let [low, high] = [0, moves.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (moves[middle]!.bytes <= bytes) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The single or double move of least value that adds from `bytesMin` to `bytesMax`. */
function fillingExchange(moves: readonly Move[], bytesMin: number, bytesMax: number): Exchange | undefined {
  let best: Exchange | undefined;
  for (const move of [STAY, ...moves]) {
    const start = countUpTo(moves, bytesMin - move.bytes - 1);
    const end = countUpTo(moves, bytesMax - move.bytes);
    for (let i = start; i < end; i++) {
      const partner = moves[i]!;
      const value = move.value + partner.value;
      if (partner.item !== move.item && (!best || value < best.value)) best = { moves: [move, partner], value };
    }
  }
  return best;
}
