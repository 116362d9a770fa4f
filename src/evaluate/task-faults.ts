// Cases that spoil a task: two with one id and those that are examples, which is an error, and several that ask the same and expect
// different answers, which are only named. Both are left out on request.
import { FormatError } from "../errors.js";
import type { TaskCase } from "./task.js";

export interface FaultyCase {
  id: string;
  line: number;
  /** Why, as a phrase. */
  reason: string;
}

/** Faults that an error names before it only counts them. */
const NAMED_MAX = 3;

/**
 * Finds the faulty cases.
 *
 * @param isExcluding leave them out
 * @param shown lines of cases that the task itself shows as examples
 * @returns what is left, what was left out, and what was not and contradicts another
 * @throws {FormatError} naming the first ids that are taken, unless such cases are left out
 */
export function withoutFaults(
  cases: readonly TaskCase[],
  path: string,
  isExcluding: boolean,
  shown: ReadonlySet<number> = new Set(),
): { cases: TaskCase[]; excluded: FaultyCase[]; contradictions: FaultyCase[] } {
  const duplicates = [...duplicatesIn(cases), ...shownIn(cases, shown)];
  const contradictions = contradictionsIn(cases);
  if (!isExcluding) {
    if (duplicates.length > 0) throw faultError(duplicates, path);
    return { cases: [...cases], excluded: [], contradictions };
  }
  const faults = [...contradictions, ...duplicates].sort((a, b) => a.line - b.line);
  const lines = new Set(faults.map(({ line }) => line));
  const excluded = [...new Map(faults.map((fault) => [fault.line, fault])).values()]; // one reason each
  return { cases: cases.filter(({ line }) => !lines.has(line)), excluded, contradictions: [] };
}

/** All but the first of an id. */
function duplicatesIn(cases: readonly TaskCase[]): FaultyCase[] {
  const lineOf = new Map<string, number>();
  return cases.flatMap(({ id, line }) => {
    const earlier = lineOf.get(id);
    if (earlier === undefined) lineOf.set(id, line);
    return earlier === undefined ? [] : [{ id, line, reason: `the id "${id}" is taken by line ${earlier}` }];
  });
}

/** A case whose answer is among the examples measures copying. */
function shownIn(cases: readonly TaskCase[], shown: ReadonlySet<number>): FaultyCase[] {
  return cases
    .filter(({ line }) => shown.has(line))
    .map(({ id, line }) => ({ id, line, reason: "it is also shown as an example" }));
}

/** Every case that asks the same as another and expects something else: nobody knows which is right. */
function contradictionsIn(cases: readonly TaskCase[]): FaultyCase[] {
  const groups = new Map<string, TaskCase[]>();
  for (const taskCase of cases) {
    if (taskCase.expect === undefined) continue;
    const { prompt, messages, choices, scorer, pattern, schema } = taskCase;
    const key = JSON.stringify([prompt?.trim(), messages, choices, scorer, pattern, schema]);
    groups.set(key, [...(groups.get(key) ?? []), taskCase]);
  }
  return [...groups.values()].flatMap((group) => {
    const first = JSON.stringify(group[0]!.expect);
    const other = group.find(({ expect }) => JSON.stringify(expect) !== first);
    if (!other) return [];
    return group.map(({ id, line }) => {
      const against = line === other.line ? group[0]!.line : other.line;
      return { id, line, reason: `it asks the same as line ${against} and expects another answer` };
    });
  });
}

function faultError(faults: readonly FaultyCase[], path: string): FormatError {
  const named = faults.slice(0, NAMED_MAX).map(({ line, reason }) => `line ${line}: ${reason}`);
  const more = faults.length > NAMED_MAX ? `; and ${faults.length - NAMED_MAX} more` : "";
  return new FormatError(path, `Cannot read task "${path}": ${named.join("; ")}${more}`, {
    hint: "Correct them, or leave them out with --exclude-faulty",
  });
}
