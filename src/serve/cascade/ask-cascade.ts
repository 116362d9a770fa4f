// A small model answers; a larger one, or another server, is asked where the small one is not sure, or its answer fails its check. The
// small one's answer is held back until it is judged: nobody reads the beginning of an answer that is not taken.
import { PareError } from "../../errors.js";
import { type AnswerPiece, askEngine, type Question, type Scope } from "../answer.js";
import type { ServedCascade } from "../model-set.js";
import { askEndpoint } from "./ask-endpoint.js";

/** Asks the small model, and the large one if need be. */
export async function* askCascade(
  scope: Scope,
  cascade: ServedCascade,
  question: Question,
): AsyncGenerator<AnswerPiece> {
  const { small, large } = cascade;
  const answer = isForSmall(question) ? await tryWhole({ ...scope, model: small }, question) : undefined;
  if (answer && isTaken(answer, cascade)) {
    scope.record.answeredBy.push(small.name);
    yield* answer;
    return;
  }
  scope.record.answeredBy.push(large.name);
  yield* "endpoint" in large ? askEndpoint(large.endpoint, scope, question) : askEngine(scope, question);
}

/** Tokens are those of one vocabulary, calls those of one template, and a text that is scored is the large model's to score. */
function isForSmall({ prompt, tools, echo }: Question): boolean {
  return prompt.kind !== "tokens" && tools === undefined && !echo;
}

/** @returns undefined where the small model can't answer at all: its context is shorter, or its engine has died */
async function tryWhole(scope: Scope, question: Question): Promise<AnswerPiece[] | undefined> {
  const pieces: AnswerPiece[] = [];
  try {
    for await (const piece of askEngine(scope, { ...question, streams: false, tellsConfidence: true }))
      pieces.push(piece);
    return pieces;
  } catch (error) {
    if (error instanceof PareError) return undefined;
    throw error;
  }
}

function isTaken(pieces: readonly AnswerPiece[], { threshold, pattern }: ServedCascade): boolean {
  const end = pieces.at(-1);
  if (end?.kind !== "ended" || end.reason !== "stop" || !(end.confidence! >= threshold)) return false;
  const text = pieces.map((piece) => (piece.kind === "text" ? piece.text : "")).join("");
  return pattern?.test(text) ?? true;
}
