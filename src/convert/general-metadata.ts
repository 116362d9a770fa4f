// What a file says of itself before any number: name, licence, where it is from, and how its makers would have it sampled.
// Keys and their meaning are those of the GGUF specification (ggml/docs/gguf.md, "General metadata").
import { Metadata, MetadataArray } from "../formats/gguf/metadata.js";
import { type JsonObject, isJsonObject } from "../formats/huggingface/json-file.js";
import type { TensorShape } from "../model/model.js";
import { elementCount } from "../model/model.js";
import { nameParts } from "./model-name.js";
import type { Origin } from "./origin.js";

/** What is known of a model besides its configuration. */
export interface Descriptions {
  card: JsonObject;
  config: JsonObject;
  generation: JsonObject;
  origin: Origin;
}

/** `general.*`, but for the file type. */
export function generalMetadata(about: Descriptions, architecture: string, tensors: readonly TensorShape[]): Metadata {
  const metadata = new Metadata()
    .set("general.architecture", "string", architecture)
    .set("general.type", "string", "model");
  addSampling(metadata, about.generation);
  addName(metadata, about, tensors);
  addLicence(metadata, about.card);
  addOrigin(metadata, about.origin);
  addRelated(metadata, "base_model", listOf(about.card["base_model"] ?? about.card["base_models"]));
  addRelated(metadata, "dataset", listOf(about.card["datasets"] ?? about.card["dataset"]));
  addTexts(metadata, "general.tags", [about.card["tags"], about.card["pipeline_tag"]]);
  addTexts(metadata, "general.languages", [about.card["languages"], about.card["language"]]);
  return metadata;
}

function addSampling(metadata: Metadata, generation: JsonObject): void {
  const names = { top_k: "top_k", top_p: "top_p", min_p: "min_p", temperature: "temp" };
  for (const [name, key] of Object.entries(names)) {
    const value = generation[name];
    if (typeof value !== "number") continue;
    metadata.set(`general.sampling.${key}`, name === "top_k" ? "int32" : "float32", value);
  }
}

/** The card's own words first, then what the repository's or the folder's name says. */
function addName(metadata: Metadata, { card, config, origin }: Descriptions, tensors: readonly TensorShape[]): void {
  const parameters = tensors.reduce((total, { shape }) => total + elementCount(shape), 0);
  const stated = config["_name_or_path"];
  const ids = [...(typeof stated === "string" && isModelId(stated) ? [stated] : []), origin.repository ?? origin.name];
  const known = ids.map((id) => nameParts(id, parameters));
  const put = (key: string, cardKeys: readonly string[], ...fallbacks: (string | undefined)[]) => {
    const texts = [...cardKeys.map((name) => card[name]), ...fallbacks];
    const text = texts.find((value) => value !== undefined && value !== null && value !== "");
    if (text !== undefined) metadata.set(`general.${key}`, "string", String(text));
  };
  put("name", ["name", "model_name"], ...known.map(({ name }) => name));
  put("author", ["author", "model_author", "model_creator"]);
  put("version", ["version", "model_version"], ...known.map(({ version }) => version));
  put("organization", ["organization", "model_organization"], ...known.map(({ organization }) => organization));
  put("finetune", ["finetune", "model_finetune"], ...known.map(({ finetune }) => finetune));
  put("basename", ["basename", "model_basename", "model_type"], ...known.map(({ basename }) => basename));
  put("description", ["description", "model_description"]);
  put("size_label", ["size_label", "model_size_label"], ...known.map(({ sizeLabel }) => sizeLabel), sizeLabel(tensors));
}

/** A name, or an organization's name; no path. */
function isModelId(text: string): boolean {
  return text !== "" && text.split("/").length <= 2;
}

/** `135M`, or `8x47B` where there are experts: how many, and what one token's way through one of each takes. */
function sizeLabel(tensors: readonly TensorShape[]): string {
  let [total, experts] = [0, 0];
  for (const { name, shape } of tensors) {
    const isStack = name.includes("_exps.") && shape.length === 3;
    if (isStack) experts = shape[2]!;
    total += elementCount(shape) / (isStack ? shape[2]! : 1);
  }
  return experts > 0 ? `${experts}x${rounded(total)}` : rounded(total);
}

function rounded(count: number): string {
  const [unit, scale] = count > 1e12 ? ["T", 1e12] : count > 1e9 ? ["B", 1e9] : count > 1e6 ? ["M", 1e6] : ["K", 1e3];
  const digits = String(Math.round(count / scale)).replace(/^0+/, "").length;
  return `${(count / scale).toFixed(Math.max(2 - digits, 0))}${unit}`;
}

function addLicence(metadata: Metadata, card: JsonObject): void {
  const licence = listOf(card["license"]).map(String).join(",");
  if (licence !== "") metadata.set("general.license", "string", licence);
  for (const [name, key] of [
    ["license_name", "name"],
    ["license_link", "link"],
  ] as const) {
    if (typeof card[name] === "string") metadata.set(`general.license.${key}`, "string", card[name]);
  }
}

function addOrigin(metadata: Metadata, { url, revision }: Origin): void {
  if (url === undefined) return;
  metadata.set("general.source.repo_url", "string", url);
  if (revision === undefined) return;
  metadata.set("general.source.url", "string", `${url}/tree/${revision}`);
  metadata.set("general.source.revision", "string", revision);
}

/** The models and datasets that it was made from: ids of the hub's, addresses, or objects with their fields. */
function addRelated(metadata: Metadata, kind: string, entries: readonly unknown[]): void {
  if (entries.length === 0) return;
  metadata.set(`general.${kind}.count`, "uint32", entries.length);
  for (const [index, entry] of entries.entries()) {
    const fields = typeof entry === "string" ? relatedFields(entry) : isJsonObject(entry) ? entry : {};
    for (const [key, value] of Object.entries(fields)) {
      if (typeof value === "string") metadata.set(`general.${kind}.${index}.${key}`, "string", value);
    }
  }
}

function relatedFields(id: string): JsonObject {
  const isAddress = /^(https?|ssh):\/\//.test(id);
  const hubId = isAddress ? /^https?:\/\/huggingface\.co\/([^/]+\/[^/]+)$/.exec(id)?.[1] : id;
  const { name, organization, version } = hubId === undefined ? {} : nameParts(hubId, 0);
  const address = isAddress ? id : id.includes("/") ? `https://huggingface.co/${id}` : undefined;
  return { name, organization, version, repo_url: address };
}

function addTexts(metadata: Metadata, key: string, values: readonly unknown[]): void {
  const texts = values.flatMap(listOf).filter((value) => typeof value === "string");
  if (texts.length > 0) metadata.set(key, "array", MetadataArray.of("string", texts));
}

function listOf(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}
