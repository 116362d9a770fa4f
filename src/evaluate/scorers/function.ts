// A function of the user's own scores the answer: a JavaScript or TypeScript module that exports `score(answer, taskCase)`. It runs as
// it is, with everything that this process may do, so it has to be allowed.
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

import { FormatError, messageOf } from "../../errors.js";
import type { TaskCase } from "../task.js";
import type { Score, Scorer } from "./scorer.js";

/** What such a module exports as `score`. A boolean is 1 or 0. */
export type ScoreFunction = (
  answer: string,
  taskCase: TaskCase,
) => boolean | number | null | Score | Promise<boolean | number | null | Score>;

export const ownFunction: Scorer = {
  name: "function",
  summary: "`score(answer, taskCase)` of the module in `score`, JavaScript or TypeScript, says so; needs --allow-code",
  runsCode: true,
  check({ score }) {
    if (score === undefined) return 'the scorer "function" needs "score", the path of a module';
    return /\.[cm]?[jt]s$/u.test(score) ? undefined : `"score" must be a JavaScript or TypeScript file, not "${score}"`;
  },
  needsBaseline: () => false,
  async score(answer, taskCase): Promise<Score> {
    const path = taskCase.score!;
    const score = await loadFunction(path);
    try {
      return checked(await score(answer, taskCase));
    } catch (error) {
      return { value: null, explanation: `"${path}" failed: ${messageOf(error)}` };
    }
  },
  expected: ({ score, expect }: TaskCase) => (expect === undefined ? `what ${score} accepts` : JSON.stringify(expect)),
};

const functions = new Map<string, Promise<ScoreFunction>>();

/**
 * Loads a scoring module, once.
 *
 * @throws {FormatError} when it can't be loaded, or exports no function `score`
 */
export function loadFunction(path: string): Promise<ScoreFunction> {
  const loaded = functions.get(path) ?? importFunction(path);
  functions.set(path, loaded);
  return loaded;
}

async function importFunction(path: string): Promise<ScoreFunction> {
  const refuse = (problem: string, cause?: unknown): never => {
    throw new FormatError(path, `Cannot score with "${path}": ${problem}`, {
      hint: "Export a function: export function score(answer, taskCase) { return answer.length < 100; }",
      cause,
    });
  };
  const module = await importModule(path).catch((cause: unknown) => refuse(messageOf(cause), cause));
  const { score } = module as { score?: unknown };
  return typeof score === "function" ? (score as ScoreFunction) : refuse("it exports no function named score");
}

/** Node before 22.18 can't read types: there they are taken off first, and the module may only import what comes with Node. */
async function importModule(path: string): Promise<unknown> {
  const readsTypes = "typescript" in process.features && Boolean(process.features.typescript);
  if (!path.endsWith("ts") || readsTypes) return import(pathToFileURL(path).href);
  const { transformSync } = await import("oxc-transform");
  const { code, errors } = transformSync(path, await readFile(path, "utf8"));
  if (errors.length > 0) throw new SyntaxError(errors[0]!.message);
  return import(`data:text/javascript,${encodeURIComponent(code)}`);
}

function checked(result: boolean | number | null | Score): Score {
  const plain = typeof result === "boolean" ? Number(result) : result;
  const score = typeof plain === "object" && plain !== null ? plain : { value: plain };
  const { value } = score;
  if (value === null || (typeof value === "number" && value >= 0 && value <= 1)) {
    return value === 1 || score.explanation !== undefined ? score : { ...score, explanation: "the function says so" };
  }
  throw new RangeError(`it returned ${JSON.stringify(result)}, wanted a boolean or a number from 0 to 1`);
}
