// POST /v1/embeddings: https://platform.openai.com/docs/api-reference/embeddings
import { readJson, scopeOf, type ServeContext, type Surroundings } from "../context.js";
import { embed } from "../embed.js";
import { promptsOf } from "./completions.js";
import { embeddingRequest } from "./schemas.js";

export async function embeddings(c: ServeContext, around: Surroundings): Promise<Response> {
  const { input, model, metadata, encoding_format: format } = embeddingRequest.parse(await readJson(c, around));
  const scope = scopeOf(c, around, { model, metadataTask: metadata?.task });
  const { vectors, tokens } = await embed(scope, promptsOf(input));
  const written = (values: Float32Array): string | number[] =>
    format === "base64" ? base64(values) : Array.from(values);
  return c.json({
    object: "list",
    data: vectors.map((values, index) => ({ object: "embedding", index, embedding: written(values) })),
    model: scope.model.name,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  });
}

/** 32-bit floats, little-endian. */
function base64(values: Float32Array): string {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64");
}
