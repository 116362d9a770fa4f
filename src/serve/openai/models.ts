// GET /v1/models and /v1/models/NAME: https://platform.openai.com/docs/api-reference/models
import type { ModelSet, ServedModel } from "../model-set.js";

export function listModels(models: ModelSet): object {
  return { object: "list", data: models.listed.map(describeModel) };
}

export function describeModel({ name, changedAt }: ServedModel): object {
  return { id: name, object: "model", created: Math.floor(changedAt.getTime() / 1000), owned_by: "pare" };
}
