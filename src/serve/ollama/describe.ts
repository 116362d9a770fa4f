// What models there are and what they are: /api/tags, /api/ps, /api/show, /api/version.
import { createHash } from "node:crypto";

import { readJson, type ServeContext, type Surroundings } from "../context.js";
import type { LoadedModel } from "../engine/messages.js";
import { loadedModel, type ServedModel } from "../model-set.js";
import { templateKnowsTools } from "../tools/tool-format.js";
import { showRequest } from "./schemas.js";

/** Models in Ollama's shape. */
export async function ollamaTags(c: ServeContext, { models }: Surroundings): Promise<Response> {
  return c.json({ models: await Promise.all(models.listed.map(describe)) });
}

export async function ollamaShow(c: ServeContext, around: Surroundings): Promise<Response> {
  const { model: name, name: oldName } = showRequest.parse(await readJson(c, around));
  const served = around.models.describe(name ?? oldName);
  const shown = elsewhere(served) ?? show(await loadedModel(served));
  const none = { modelfile: "", parameters: "", template: "", model_info: {} };
  return c.json({ ...none, ...shown, modified_at: served.changedAt.toISOString() });
}

function show(model: LoadedModel): object {
  const { architecture, chatTemplate, contextLength, embeddingLength, parameters } = model;
  return {
    template: chatTemplate ?? "",
    details: details(model),
    model_info: {
      "general.architecture": architecture,
      "general.parameter_count": parameters,
      [`${architecture}.context_length`]: contextLength,
      [`${architecture}.embedding_length`]: embeddingLength,
    },
    capabilities: ["completion", "embedding", ...(templateKnowsTools(chatTemplate) ? ["tools"] : [])],
  };
}

/** Of a cascade whose large model is on another server: names, as no more is known of that one, and the small one's facts would mislead. */
function elsewhere({ cascade }: ServedModel): object | undefined {
  if (!cascade || !("endpoint" in cascade.large)) return undefined;
  const unknown = { format: "", family: "", families: [], parameter_size: "", quantization_level: "" };
  return {
    remote_model: cascade.large.name,
    details: { parent_model: cascade.small.name, ...unknown },
    capabilities: ["completion", "embedding", "tools"],
  };
}

async function describe(served: ServedModel): Promise<object> {
  const { name, sizeBytes, changedAt } = served;
  return {
    name,
    model: name,
    modified_at: changedAt.toISOString(),
    size: sizeBytes,
    digest: digestOf(served),
    ...(elsewhere(served) ?? { details: details(await loadedModel(served)) }),
  };
}

/** Tells versions of a file apart without reading all of it: by name, size and time. */
function digestOf({ name, sizeBytes, changedAt }: ServedModel): string {
  return createHash("sha256").update(`${name} ${sizeBytes} ${changedAt.getTime()}`).digest("hex");
}

function details({ architecture, parameters, description }: LoadedModel): object {
  return {
    parent_model: "",
    format: "gguf",
    family: architecture,
    families: [architecture],
    parameter_size: parameters < 1e9 ? `${(parameters / 1e6).toFixed(1)}M` : `${(parameters / 1e9).toFixed(1)}B`,
    quantization_level: description.split(" ").at(-1) ?? "",
  };
}
