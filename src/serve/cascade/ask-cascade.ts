// A small model answers; a larger one, or another server, is asked where the small one is not sure, or its answer fails its check. The
// small one's answer is held back until it is judged: nobody reads the beginning of an answer that is not taken.
import { PareError } from "../../errors.js";
import { type AnswerPiece, askEngine, type Question, type Scope } from "../answer.js";
import { overloaded } from "../failure.js";
import type { ServedCascade } from "../model-set.js";
import { RequestRecord } from "../observe/request-record.js";
import { askEndpoint } from "./ask-endpoint.js";
import { endpointRequest } from "./endpoint-request.js";

/** Asks the small model, and the large one if need be. @throws {RequestError} 400 for what a large model elsewhere is not asked for */
export async function* askCascade(
  scope: Scope,
  cascade: ServedCascade,
  question: Question,
): AsyncGenerator<AnswerPiece> {
  const { small, large } = cascade;
  const askLarge =
    "endpoint" in large ? endpointAsker(cascade, large.endpoint, scope, question) : () => askEngine(scope, question);
  const answer = isForSmall(question) ? await trySmall(scope, cascade, question) : undefined;
  let by: string | undefined = answer ? small.name : large.name;
  for await (const piece of answer ?? askLarge()) {
    if (by !== undefined) scope.record.answeredBy.push(by); // only now is there an answer
    by = undefined;
    yield piece;
  }
}

/** Answers that a cascade waits for elsewhere. */
const underWay = new WeakMap<ServedCascade, number>();

/** Composes the request at once, and sends it when it is called. @throws {RequestError} 503 when too many are under way */
function endpointAsker(
  cascade: ServedCascade,
  endpoint: Parameters<typeof askEndpoint>[0],
  scope: Scope,
  question: Question,
): () => AsyncGenerator<AnswerPiece> {
  const request = endpointRequest(endpoint, question);
  return async function* () {
    const others = underWay.get(cascade) ?? 0;
    if (others >= scope.waitingMax) throw overloaded(scope.waitingMax, scope.model.name);
    underWay.set(cascade, others + 1);
    try {
      yield* askEndpoint(endpoint, scope, request);
    } finally {
      underWay.set(cascade, underWay.get(cascade)! - 1);
    }
  };
}

/** Tokens are those of one vocabulary, calls those of one template, and a text that is scored is the large model's to score. */
function isForSmall({ prompt, tools, echo, sampling }: Question): boolean {
  return prompt.kind !== "tokens" && tools === undefined && !echo && sampling.logitBias.length === 0;
}

/** @returns undefined where its answer is not taken, or it can't answer: its context is shorter, too many wait for it, or its engine has died */
async function trySmall(scope: Scope, cascade: ServedCascade, question: Question): Promise<AnswerPiece[] | undefined> {
  const { small } = cascade;
  if (!small.engine.model) return undefined; // it is started again, which takes longer than asking the other
  if (small.engine.load.waiting >= scope.waitingMax) return undefined;
  const record = new RequestRecord(scope.record.id); // what is not taken does not count
  const pieces: AnswerPiece[] = [];
  try {
    const silent = { ...question, streams: false, tellsConfidence: true };
    for await (const piece of askEngine({ ...scope, model: small, record }, silent)) pieces.push(piece);
  } catch (error) {
    if (error instanceof PareError) return undefined;
    throw error;
  }
  if (!isTaken(pieces, cascade)) return undefined;
  scope.record.take(record);
  return pieces;
}

function isTaken(pieces: readonly AnswerPiece[], { threshold, pattern }: ServedCascade): boolean {
  const end = pieces.at(-1);
  if (end?.kind !== "ended" || end.reason !== "stop" || !(end.confidence! >= threshold)) return false;
  const text = pieces.map((piece) => (piece.kind === "text" ? piece.text : "")).join("");
  return pattern?.test(text) ?? true;
}
