// What the endpoint of a cascade is asked: the fields that the client wrote, in OpenAI's names, and no default of ours. What it can't be
// asked for is refused before the small model is, so that a request fails, or doesn't, however sure that one would have been.
import type { Endpoint } from "../../fit/cascade/cascade-file.js";
import type { Question } from "../answer.js";
import { RequestError } from "../failure.js";

/** A request as it is sent, but for the model's name. */
export interface EndpointRequest {
  path: "/chat/completions" | "/completions";
  body: Record<string, unknown>;
}

/** Every server of OpenAI's API knows these. */
const COMMON_FIELDS = [
  "messages",
  "temperature",
  "top_p",
  "frequency_penalty",
  "presence_penalty",
  "logit_bias",
  "stop",
  "max_tokens",
  "max_completion_tokens",
  "response_format",
  "tools",
  "tool_choice",
];

/** Some servers know these, others answer 400 to them: they are sent where the cascade's file says so. */
const FIELDS_THAT_SOME_TAKE = ["top_k", "min_p", "repeat_penalty", "repeat_last_n", "chat_template_kwargs"];

/** @throws {RequestError} 400 for what can't be passed on */
export function endpointRequest({ takes = [] }: Endpoint, question: Question): EndpointRequest {
  const { asked, prompt, sampling, maxTokens } = question;
  const isGiven = (name: string): boolean => asked[name] !== undefined && asked[name] !== null;
  refuseWhatIsOurs(question);
  for (const name of FIELDS_THAT_SOME_TAKE.filter(isGiven)) {
    if (!(takes as string[]).includes(name)) throw notPassedOn(`"${name}"`, name, `List it in "takes" if it knows it`);
  }
  const passed = [...COMMON_FIELDS, ...takes].filter(isGiven).map((name) => [name, asked[name]]);
  const body = Object.fromEntries(passed) as Record<string, unknown>;
  if (isGiven("seed")) body["seed"] = sampling.seed; // each of several answers has its own
  if (prompt.kind !== "text") return { path: "/chat/completions", body };
  if (maxTokens !== undefined) body["max_tokens"] = maxTokens; // servers differ in what they do without
  return { path: "/completions", body: { ...body, prompt: prompt.text } };
}

/** Tokens and their probabilities are those of one vocabulary, which of the endpoint's model isn't known. */
function refuseWhatIsOurs({ prompt, echo, logProbabilities }: Question): void {
  if (prompt.kind === "tokens") throw notPassedOn("a prompt in tokens", "prompt", "Send it as text");
  if (echo) throw notPassedOn('"echo"', "echo");
  if (logProbabilities !== undefined) throw notPassedOn('"logprobs"', "logprobs");
}

function notPassedOn(what: string, param: string, hint?: string): RequestError {
  return new RequestError(400, `This cascade's large model is on another server, which is not asked for ${what}`, {
    param,
    ...(hint === undefined ? {} : { hint }),
  });
}
