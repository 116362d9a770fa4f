// Judges the answers of a task once all of them are there: pairs in both orders, or grades. What a judge says that is no verdict leaves
// the case unscored, with its words.
import { normalizeText } from "../scorers/exact.js";
import { referenceOf } from "../scorers/judge.js";
import { quoted } from "../scorers/scorer.js";
import type { CaseResult, JudgeResult } from "../task-result.js";
import type { TaskCase } from "../task.js";
import { askJudge, type AskOptions, type JudgeQuestion } from "./ask-judge.js";
import type { JudgeAnswer } from "./judge-memory.js";
import { gradeIn, gradeQuestion, pairQuestion, preferenceIn } from "./judge-questions.js";
import { type JudgeSettings, nameOfJudge } from "./judge-settings.js";
import { type BothOrders, orderAgreement, pairScore } from "./order-agreement.js";

const QUOTED_CHARACTERS = 200;

/** An answer that waits for a judge. */
export interface JudgedAnswer {
  taskCase: TaskCase;
  result: CaseResult;
  baselineAnswer: string | undefined;
}

type Verdict = Pick<CaseResult, "score" | "explanation" | "judged"> & { orders?: BothOrders };

/**
 * Has all answers judged, one judge after the other.
 *
 * @returns the same cases with their scores, and how steady the judges were
 * @throws {PareError} when a judge can't be asked
 */
export async function judgeCases(
  answers: readonly JudgedAnswer[],
  options: AskOptions,
): Promise<{ results: CaseResult[]; judge: JudgeResult }> {
  const questions = new Map(answers.map((one) => [one, questionsOf(one)]));
  const said = new Map<string, JudgeAnswer>();
  for (const judge of judgesOf(answers.map(({ taskCase }) => taskCase))) {
    const name = keyOf(judge);
    const ofJudge = answers.filter(({ taskCase }) => keyOf(taskCase.judge!) === name);
    const asked = ofJudge.flatMap((one) => questions.get(one)!);
    if (asked.length === 0) continue;
    for (const [id, answer] of await askJudge(judge, asked, options)) said.set(id, answer);
  }
  const verdicts = answers.map((one) =>
    verdictOf(
      one,
      questions.get(one)!.map(({ id }) => said.get(id)!),
    ),
  );
  return {
    results: answers.map(({ result: { explanation: _explanation, ...result } }, index) => {
      const { orders: _orders, ...verdict } = verdicts[index]!;
      return { ...result, ...verdict };
    }),
    judge: summaryOf(answers, verdicts),
  };
}

/** The judges of some cases, each once, whatever its rubric. */
export function judgesOf(cases: readonly TaskCase[]): JudgeSettings[] {
  const judges = cases.flatMap(({ scorer, judge }) => (scorer === "judge" && judge ? [judge] : []));
  return [...new Map(judges.map((judge) => [keyOf(judge), judge])).values()];
}

/** The judges of some cases, one for each rubric. */
export function rubricsOf(cases: readonly TaskCase[]): JudgeSettings[] {
  const judges = cases.flatMap(({ scorer, judge }) => (scorer === "judge" && judge ? [judge] : []));
  return [...new Map(judges.map((judge) => [JSON.stringify(judge), judge])).values()];
}

function keyOf({ model, endpoint, keyEnv, maxTokens }: JudgeSettings): string {
  return JSON.stringify([model, endpoint, keyEnv, maxTokens]);
}

/** Two for a pair, one in each order; none where both answers are one. */
function questionsOf({ taskCase, result, baselineAnswer }: JudgedAnswer): JudgeQuestion[] {
  const { id, answer } = result;
  const reference = referenceOf(taskCase, baselineAnswer);
  if (taskCase.judge!.grades !== undefined) {
    return [{ id: `${id} grade`, messages: gradeQuestion(taskCase, answer, referenceOf(taskCase)) }];
  }
  if (normalizeText(answer) === normalizeText(reference!)) return [];
  return [
    { id: `${id} first`, messages: pairQuestion(taskCase, answer, reference!) },
    { id: `${id} second`, messages: pairQuestion(taskCase, reference!, answer) },
  ];
}

function verdictOf({ taskCase }: JudgedAnswer, said: readonly JudgeAnswer[]): Verdict {
  if (said.length === 0) return { score: 0.5, explanation: "both answers are the same text" };
  const judged = said.map((one) => ("text" in one ? one.text : ""));
  const problem = said.find((one) => "problem" in one)?.problem;
  if (problem !== undefined) return { score: null, explanation: `the judge gave no answer: ${problem}`, judged };
  return {
    ...(taskCase.judge!.grades === undefined ? ofPair(judged) : ofGrade(judged, taskCase.judge!.grades)),
    judged,
  };
}

/** What was said of a pair in both orders; undefined of a grade, or where a verdict is missing. */
export function ordersIn(judged: readonly string[] = []): BothOrders | undefined {
  const preferences = judged.map(preferenceIn);
  return preferences.length === 2 && !preferences.includes(undefined)
    ? (preferences as unknown as BothOrders)
    : undefined;
}

function ofPair(judged: readonly string[]): Verdict {
  const preferences = judged.map(preferenceIn);
  const unclear = preferences.indexOf(undefined);
  if (unclear >= 0) return noVerdict(judged[unclear]!);
  const orders = preferences as unknown as BothOrders;
  const { value, agrees } = pairScore(orders);
  if (!agrees) return { score: value, explanation: "the judge contradicts itself when the order is swapped", orders };
  if (value === 1) return { score: value, orders };
  const explanation = value === 0 ? "the judge prefers the other answer in both orders" : "the judge sees a tie";
  return { score: value, explanation, orders };
}

function ofGrade([text = ""]: readonly string[], grades: number): Verdict {
  const grade = gradeIn(text, grades);
  if (grade === undefined) return noVerdict(text);
  const score = (grade - 1) / (grades - 1);
  return score === 1 ? { score } : { score, explanation: `the judge gives grade ${grade} of ${grades}` };
}

function noVerdict(text: string): Verdict {
  return { score: null, explanation: `the judge names no verdict: ${quoted(text.trim(), QUOTED_CHARACTERS)}` };
}

function summaryOf(answers: readonly JudgedAnswer[], verdicts: readonly Verdict[]): JudgeResult {
  const pairs = verdicts.flatMap(({ orders }) => (orders ? [orders] : []));
  const order = orderAgreement(pairs);
  return {
    judges: [...new Set(answers.map(({ taskCase }) => nameOfJudge(taskCase.judge!)))],
    cases: answers.length,
    unclear: verdicts.filter(({ score }) => score === null).length,
    ...(order ? { order } : {}),
  };
}
