// Several models on one task, files here and endpoints anywhere: what each gets right, how surely, how fast, for how much, and how it fits
// in. The first contender is the one that others are compared with.
import { join } from "node:path";

import { PareError, UsageError } from "../errors.js";
import { Endpoint } from "../evaluate/endpoint/endpoint.js";
import { describeEndpoint, listEndpointModels } from "../evaluate/endpoint/describe-endpoint.js";
import { CostCap } from "../evaluate/endpoint/cost-cap.js";
import { JudgeSpending } from "../evaluate/judge/judge-cost.js";
import { isJudged, requireJudges } from "../evaluate/judge/judge-task.js";
import { askingJudges } from "../evaluate/run-task.js";
import { SCORERS } from "../evaluate/scorers/registry.js";
import type { Task } from "../evaluate/task.js";
import { readTask } from "../evaluate/tasks/read-task.js";
import { Journal } from "../fit/journal.js";
import type { EndpointPrices } from "../cost/money.js";
import { diagnosing } from "../model/diagnose.js";
import { sha256, sha256File, writeFileAtomic } from "../support/files.js";
import { FolderLock } from "../support/folder-lock.js";
import { optional } from "../support/optional.js";
import type { RunOptions } from "../support/progress.js";
import { answerByEndpoint, answerByFile, type AnswerRequest, type ComparedCase } from "./answer-cases.js";
import { withAskedChoices } from "./asked-choices.js";
import { type Contender, readContenders } from "./contender.js";
import { type AskingPlan, plansCostAtMost } from "./cost-cap.js";
import { describeFile } from "./describe-file.js";
import { judgeContenders, judgesCostAtMost } from "./judge-contenders.js";
import { type Tariff, costOf, readTariffs } from "./money.js";
import { comparisonPage } from "./page.js";
import { type Answered, type Comparison, summarizeComparison } from "./summarize.js";

export interface CompareRequest {
  /** GGUF files and endpoints; see contender.ts. */
  contenders: readonly string[];
  /** Path of a task, or `suite:NAME`. */
  task: string;
  /** Folder for journal, result and page. */
  out?: string | undefined;
  cases?: number | undefined;
  maxTokens?: number | undefined;
  /** Environment variables that hold keys, as `name=VARIABLE`. Keys themselves are never written. */
  keys?: readonly string[] | undefined;
  /** Prices, as `name=0.15/0.60` per million tokens in and out, or `name=0.20/h`; in dollars. */
  prices?: readonly string[] | undefined;
  /** Dollars per million tokens of what judges at endpoints read and say. */
  judgePrices?: EndpointPrices | undefined;
  /** Dollars that endpoints, those of judges among them, may cost at most. */
  costCap?: number | undefined;
  requestsPerMinute?: number | undefined;
  /** Requests to an endpoint at once. */
  parallel?: number | undefined;
  /** Milliseconds before a request is tried again; doubled each time. */
  waitMs?: number | undefined;
  /** Requests per month, to reckon a return with. */
  volume?: number | undefined;
  /** Dollars that a change away from the first contender costs once. */
  investment?: number | undefined;
  allowCode?: boolean | undefined;
  excludeFaulty?: boolean | undefined;
  threads?: number | undefined;
}

export const COMPARISON_FILES = ["comparison.json", "comparison.html"] as const;

/**
 * Compares models on a task.
 *
 * @throws {UsageError} when the request can't be meant as written, or may cost more than it may
 * @throws {PareError} when an endpoint stops answering; what it answered is kept, and the same request goes on from there
 * @example
 * await compare({ contenders: ["lean.gguf", "http://127.0.0.1:8080/v1"], task: "cases.jsonl" });
 */
export async function compare(request: CompareRequest, options: RunOptions = {}): Promise<Comparison> {
  const given = readContenders(request.contenders);
  const names = given.map(({ name }) => name);
  const tariffs = readTariffs(request.prices ?? [], names);
  const keys = readKeys(request.keys ?? [], names);
  const { task, isAsked } = await taskFor(given, request);
  const cap = new CostCap(request.costCap);
  const spending = new JudgeSpending(cap, request.judgePrices);
  spending.requirePriceUse(task);
  const endpoints = new Map(await Promise.all(given.map((one) => endpointOf(one, keys, request, options))));
  const contenders = given.map(
    (one) => ({ ...one, ...optional("model", endpoints.get(one.name)?.model) }) as Contender,
  );
  const out = request.out ?? "pare-compare";
  await using _lock = await FolderLock.acquire(join(out, ".lock"), out);
  await using journal = await Journal.open(join(out, "journal.jsonl"));
  const plans = await Promise.all(
    contenders.map((one) => planOf(one, endpoints.get(one.name), { task, isAsked }, request)),
  );
  const { threads, waitMs, maxTokens } = request;
  const asking = askingJudges({ memory: journal, spending, threads, waitMs }, options);
  if (cap.dollars !== undefined) {
    const judges = judgesCostAtMost(task, contenders.length, { spending, maxTokens });
    cap.requireRoom(plansCostAtMost(unasked(plans, endpoints, tariffs, journal)) + judges);
  }
  await requireJudges(task.cases, 1, asking);
  const answered: Answered[] = [];
  for (const [index, contender] of contenders.entries()) {
    const { cases, integration } = await answersOf(
      contender,
      endpoints.get(contender.name),
      plans[index]!,
      journal,
      tariffs,
      cap,
      options,
    );
    answered.push({ contender, cases, integration, tariff: tariffs.get(contender.name) });
  }
  const judged = await judgeContenders(task, answered, asking);
  judged.forEach(requireScored);
  const comparison = summarizeComparison(task, judged, {
    notes: isAsked ? ["Choices were asked with letters, as endpoints seldom tell likelihoods"] : [],
    volume: request.volume,
    investment: request.investment,
  });
  await writeFileAtomic(join(out, "comparison.json"), `${JSON.stringify(comparison, null, 2)}\n`);
  await writeFileAtomic(join(out, "comparison.html"), comparisonPage(comparison));
  return comparison;
}

/** The task as all contenders are asked it. */
async function taskFor(
  contenders: readonly Contender[],
  { task: path, cases, excludeFaulty }: CompareRequest,
): Promise<{ task: Task; isAsked: boolean }> {
  const task = await readTask(path, { excludeFaulty });
  const short = { ...task, repeats: 1, cases: task.cases.slice(0, cases) };
  const lacking = short.cases.find((one) => SCORERS[one.scorer].needsBaseline(one) && !isJudged(one));
  if (lacking)
    throw new UsageError(`Cannot compare on "${path}": line ${lacking.line} says not what is right`, {
      hint: 'Add "expect"',
    });
  const hasEndpoint = contenders.some(({ kind }) => kind === "endpoint");
  if (!hasEndpoint || !short.cases.some(({ scorer }) => scorer === "choice")) return { task: short, isAsked: false };
  return { task: withAskedChoices(short), isAsked: true };
}

/** Keys by contender, from the environment. */
function readKeys(texts: readonly string[], names: readonly string[]): Map<string, string> {
  return new Map(
    texts.map((text) => {
      const [, name = "", variable = ""] = /^(.+)=([A-Za-z_]\w*)$/u.exec(text) ?? [];
      if (!names.includes(name)) {
        throw new UsageError(
          "A key is named as NAME=VARIABLE, a contender and the environment variable that holds its key",
          {
            hint: `There are ${names.join(", ")}`,
          },
        );
      }
      const key = process.env[variable]?.trim();
      if (key) return [name, key];
      throw new UsageError(`The environment variable ${variable} is not set`, {
        hint: `Put the key of "${name}" there`,
      });
    }),
  );
}

async function endpointOf(
  contender: Contender,
  keys: ReadonlyMap<string, string>,
  { parallel, requestsPerMinute, waitMs }: CompareRequest,
  { signal }: RunOptions,
): Promise<[string, Endpoint | undefined]> {
  if (contender.kind === "file") return [contender.name, undefined];
  const settings = { url: contender.url, key: keys.get(contender.name), parallel, requestsPerMinute, waitMs };
  if (contender.model !== "") return [contender.name, new Endpoint({ ...settings, model: contender.model })];
  const models = await listEndpointModels(new Endpoint({ ...settings, model: "" }), signal);
  const ids = models.map(({ id }) => String(id));
  if (ids.length === 1) return [contender.name, new Endpoint({ ...settings, model: ids[0]! })];
  throw new UsageError(`"${contender.url}" serves ${ids.length === 0 ? "no model that it names" : ids.join(", ")}`, {
    hint: `Name one: ${contender.url}#${ids[0] ?? "MODEL"}`,
  });
}

/** What to ask of a contender, under a key of all that its answers depend on. */
async function planOf(
  contender: Contender,
  endpoint: Endpoint | undefined,
  { task, isAsked }: { task: Task; isAsked: boolean },
  request: CompareRequest,
): Promise<AnswerRequest> {
  const { maxTokens, allowCode, excludeFaulty, threads } = request;
  const what =
    contender.kind === "file"
      ? await diagnosing([contender.path], () => sha256File(contender.path))
      : `${endpoint!.url}#${endpoint!.model}`;
  const key = sha256(JSON.stringify([what, task.sha256, maxTokens, isAsked])).slice(0, 16);
  return { key, name: contender.name, task, maxTokens, allowCode, excludeFaulty, threads };
}

/** The cases that endpoints have not answered yet. */
function unasked(
  plans: readonly AnswerRequest[],
  endpoints: ReadonlyMap<string, Endpoint | undefined>,
  tariffs: ReadonlyMap<string, Tariff>,
  journal: Journal,
): AskingPlan[] {
  return plans
    .filter(({ name }) => endpoints.get(name) !== undefined)
    .map(({ name, key, task, maxTokens }) => {
      const cases = task.cases.filter(({ id }) => !journal.has(`${key} ${id}`));
      return { name, tariff: tariffs.get(name), task: { ...task, cases }, maxTokens };
    });
}

async function answersOf(
  contender: Contender,
  endpoint: Endpoint | undefined,
  plan: AnswerRequest,
  journal: Journal,
  tariffs: ReadonlyMap<string, Tariff>,
  cap: CostCap,
  options: RunOptions,
): Promise<Pick<Answered, "cases" | "integration">> {
  if (contender.kind === "file") {
    const cases = await answerByFile(contender.path, plan, journal, options);
    return { cases, integration: await describeFile(contender.path, options) };
  }
  const tariff = tariffs.get(contender.name);
  const onSpent = ({ promptTokens, answerTokens }: ComparedCase): void => {
    if (tariff && !("perHour" in tariff)) cap.spend(costOf(tariff, { promptTokens, answerTokens, seconds: 0 }));
  };
  const cases = await answerByEndpoint(endpoint!, plan, journal, onSpent, options);
  const integration = await journal.step(`${plan.key} integration`, () => describeEndpoint(endpoint!, options.signal));
  return { cases, integration };
}

function requireScored({ contender: { name }, cases }: Answered): void {
  if (cases.some(({ score }) => score !== null)) return;
  throw new PareError(
    `Nothing that "${name}" answered could be scored: ${cases[0]?.explanation ?? "no case was asked"}`,
  );
}
