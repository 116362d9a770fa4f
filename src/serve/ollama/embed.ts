// POST /api/embed, and /api/embeddings, which older clients use.
import { readJson, scopeOf, type ServeContext, type Surroundings } from "../context.js";
import { embed } from "../embed.js";
import { promptsOf } from "../openai/completions.js";
import { embeddingsRequest, embedRequest } from "./schemas.js";

export async function ollamaEmbed(c: ServeContext, around: Surroundings): Promise<Response> {
  const { model, input } = embedRequest.parse(await readJson(c, around));
  const scope = scopeOf(c, around, { model });
  const { vectors, tokens } = await embed(scope, promptsOf(input));
  const embeddings = vectors.map((values) => Array.from(values));
  return c.json({ model: scope.model.name, embeddings, prompt_eval_count: tokens });
}

export async function ollamaEmbeddings(c: ServeContext, around: Surroundings): Promise<Response> {
  const { model, prompt } = embeddingsRequest.parse(await readJson(c, around));
  const { vectors } = await embed(scopeOf(c, around, { model }), promptsOf(prompt));
  return c.json({ embedding: Array.from(vectors[0]!) });
}
