// POST /api/generate: a prompt through the model's template, or raw.
import { readJson, scopeOf, type ServeContext, type Surroundings } from "../context.js";
import type { PromptInput } from "../engine/messages.js";
import { loadedModel } from "../model-set.js";
import { type Traits, traitsOf } from "../route/choose-task.js";
import { questionOf, respond } from "./answers.js";
import { loaded } from "./chat.js";
import { generateRequest, type GenerateRequest } from "./schemas.js";

export async function ollamaGenerate(c: ServeContext, around: Surroundings): Promise<Response> {
  const request = generateRequest.parse(await readJson(c, around));
  const scope = scopeOf(c, around, { model: request.model, traits: () => traitsOfGenerate(request) });
  const { chatTemplate } = await loadedModel(scope.model);
  if (!request.prompt) return c.json({ ...loaded(scope.model.name), response: "" });
  const prompt = promptOf(request, chatTemplate !== undefined);
  const common = questionOf(request);
  const asked =
    prompt.kind === "conversation" ? { ...common.asked, messages: prompt.conversation.messages } : common.asked;
  const question = { ...common, asked, prompt };
  return respond(c, scope, question, request.stream ?? true, (response) => ({ response }));
}

function traitsOfGenerate({ system, prompt, format }: GenerateRequest): Traits {
  const messages = [
    { role: "system", content: system },
    { role: "user", content: prompt },
  ];
  return traitsOf(messages, { wantsJson: format !== undefined });
}

function promptOf({ prompt = "", system, raw }: GenerateRequest, hasTemplate: boolean): PromptInput {
  if (raw || !hasTemplate) return { kind: "text", text: system ? `${system}\n${prompt}` : prompt };
  const messages = [{ role: "user", content: prompt }];
  if (system) messages.unshift({ role: "system", content: system });
  return { kind: "conversation", conversation: { messages } };
}
