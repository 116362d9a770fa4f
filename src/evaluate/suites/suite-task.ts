// The built-in suites as tasks: `suite:NAME`, made from a seed whenever they are read. `suite:NAME?seed=2&cases=500&plain` asks for other
// cases, more of them, or prompts in place of messages, for models without a chat template.
import { UsageError } from "../../errors.js";
import { sha256 } from "../../support/files.js";
import { nearestName } from "../../support/nearest-name.js";
import { Random } from "../../support/random.js";
import { type Task, type TaskDefaults, parseTask } from "../task.js";
import { SUITES } from "./registry.js";
import { variantsOf } from "./robustness.js";
import { type Draft, type Suite, type SuiteCase, messageOf, pick } from "./suite.js";

const PREFIX = "suite:";
const SEED_DEFAULT = 1;
const CASES_MAX = 20_000;
/** Draws of one case until it is one that there is not yet. */
const DRAWS_MAX = 200;

export function isSuitePath(path: string): boolean {
  return path.startsWith(PREFIX);
}

/**
 * Makes a suite into a task.
 *
 * @param path `suite:NAME`, with `?seed=`, `cases=` and `plain` behind it
 * @throws {UsageError} when there is no such suite, or it has not so many different cases
 */
export function suiteTask(path: string, defaults: TaskDefaults = {}): Task {
  const text = suiteText(path);
  const { excluded: _, ...task } = parseTask(text, { ...defaults, path });
  return { ...task, name: suiteRequest(path).suite.name, sha256: sha256(text), files: [] };
}

/** The cases of a suite as JSON Lines. @throws {UsageError} as {@link suiteTask} */
export function suiteText(path: string): string {
  const { suite, seed, count, isPlain } = suiteRequest(path);
  const cases = suite.name === "robustness" ? robustnessCases(suite, seed, count) : plainCases(suite, seed, count);
  return cases.map((one) => `${JSON.stringify(isPlain ? withPrompt(one) : one)}\n`).join("");
}

interface SuiteRequest {
  suite: Suite;
  seed: number;
  count: number;
  isPlain: boolean;
}

function suiteRequest(path: string): SuiteRequest {
  const [name = "", query = ""] = path.slice(PREFIX.length).split("?", 2);
  const suite = SUITES.find((one) => one.name === name);
  if (!suite) {
    const names = SUITES.map((one) => one.name);
    const nearest = nearestName(name, names);
    throw new UsageError(`Unknown suite "${name}": there are ${names.join(", ")}`, {
      hint: nearest ? `Did you mean ${nearest}?` : "List them with: pare suite",
    });
  }
  const parameters = new URLSearchParams(query);
  const unknown = [...parameters.keys()].find((key) => !["seed", "cases", "plain"].includes(key));
  if (unknown !== undefined) throw new UsageError(`Suites take seed, cases and plain, not "${unknown}"`);
  return {
    suite,
    seed: wholeNumber(parameters, "seed", 0, 2 ** 32 - 1) ?? SEED_DEFAULT,
    count: wholeNumber(parameters, "cases", 1, CASES_MAX) ?? suite.casesDefault,
    isPlain: parameters.has("plain"),
  };
}

function wholeNumber(parameters: URLSearchParams, name: string, low: number, high: number): number | undefined {
  const text = parameters.get(name);
  if (text === null) return undefined;
  const value = Number(text);
  if (/^\d+$/u.test(text) && value >= low && value <= high) return value;
  throw new UsageError(`"${name}" of a suite is a whole number from ${low} to ${high}, not "${text}"`);
}

function plainCases(suite: Suite, seed: number, count: number): SuiteCase[] {
  return distinctDrafts(suite, seed, count).map(({ draft, random, index }) => {
    const writing = { instruction: pick(random, draft.instructions), text: draft.text };
    return {
      id: idOf(suite, index),
      messages: [{ role: "user", content: messageOf(draft, writing) }],
      ...draft.fields,
      tags: draft.tags,
    };
  });
}

/** Groups of variants, until there are as many cases as were asked for. */
function robustnessCases(suite: Suite, seed: number, count: number): SuiteCase[] {
  const groups = distinctDrafts(suite, seed, Math.ceil(count / 7)); // 7 or 8 variants each
  return groups
    .flatMap(({ draft, random, index }) =>
      variantsOf(draft, random).map((one) => ({ id: `${idOf(suite, index)}-${one.tags[0]}`, ...one })),
    )
    .slice(0, count);
}

interface DrawnDraft {
  draft: Draft;
  random: Random;
  index: number;
}

/** Drafts with different texts: each case has a stream of its own, so that more cases leave the first ones as they are. */
function distinctDrafts(suite: Suite, seed: number, count: number): DrawnDraft[] {
  const known = new Set<string>();
  return Array.from({ length: count }, (_, index) => {
    for (let attempt = 0; attempt < DRAWS_MAX; attempt++) {
      const random = new Random(seed).fork(`${suite.name} ${index} ${attempt}`);
      const draft = suite.draw(random, index);
      const key = draft.text.toLowerCase();
      if (known.has(key)) continue;
      known.add(key);
      return { draft, random, index };
    }
    throw new UsageError(`Suite "${suite.name}" has no ${count} different cases with seed ${seed}, only ${index}`);
  });
}

function idOf(suite: Suite, index: number): string {
  return `${suite.name}-${String(index + 1).padStart(4, "0")}`;
}

function withPrompt({ messages, ...rest }: SuiteCase): Record<string, unknown> {
  return { ...rest, prompt: `${messages[0]!.content}\nAnswer:`, stop: rest["stop"] ?? "\n\n" };
}
