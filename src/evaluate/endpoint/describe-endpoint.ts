// What an endpoint can do beside answering, found by asking it: context, tools, JSON mode, fine-tuning. What it does not say is unknown.
import type { Endpoint } from "./endpoint.js";

export interface Integration {
  /** Tokens of a conversation at most. */
  contextLength: number | null;
  /** Takes tools, and JSON as the form of its answer. */
  tools: boolean | null;
  jsonMode: boolean | null;
  license: string | null;
  /** How it is spoken to. */
  api: string;
  /** How it can be trained further, as a phrase. */
  fineTuning: string | null;
}

/** Models that the endpoint lists. */
export async function listEndpointModels(endpoint: Endpoint, signal?: AbortSignal): Promise<Record<string, unknown>[]> {
  const list = (await endpoint.read("/models", undefined, signal)) as { data?: unknown } | undefined;
  return Array.isArray(list?.data) ? (list.data as Record<string, unknown>[]) : [];
}

/** Asks two questions of a few tokens each, with a tool and with JSON wanted: a server that knows neither refuses. */
export async function describeEndpoint(endpoint: Endpoint, signal?: AbortSignal): Promise<Integration> {
  const models = await listEndpointModels(endpoint, signal).catch(() => []);
  const model = models.find(({ id }) => id === endpoint.model) ?? (models.length === 1 ? models[0] : undefined);
  const jobs = await endpoint.read("/fine_tuning/jobs?limit=1", undefined, signal).catch(() => undefined);
  return {
    contextLength: contextOf(model),
    tools: await takes(endpoint, { tools: [TOOL], max_tokens: 16 }, signal),
    jsonMode: await takes(endpoint, { response_format: { type: "json_object" }, max_tokens: 16 }, signal),
    license: typeof model?.["license"] === "string" ? model["license"] : null,
    api: "OpenAI-compatible endpoint",
    fineTuning: jobs === undefined ? null : "through its API",
  };
}

const TOOL = {
  type: "function",
  function: { name: "noop", description: "does nothing", parameters: { type: "object", properties: {} } },
};

async function takes(endpoint: Endpoint, feature: object, signal: AbortSignal | undefined): Promise<boolean | null> {
  const messages = [{ role: "user", content: "Answer with {} as JSON." }];
  try {
    const document = await endpoint.read("/chat/completions", { model: endpoint.model, messages, ...feature }, signal);
    return document !== undefined;
  } catch {
    signal?.throwIfAborted();
    return null;
  }
}

/** vLLM, llama-server and routers each have a name of their own for it. */
function contextOf(model: Record<string, unknown> | undefined): number | null {
  const meta = model?.["meta"] as Record<string, unknown> | undefined;
  const found = [model?.["max_model_len"], model?.["context_length"], meta?.["n_ctx"], meta?.["n_ctx_train"]].find(
    (value) => typeof value === "number" && value > 0,
  );
  return (found as number | undefined) ?? null;
}
