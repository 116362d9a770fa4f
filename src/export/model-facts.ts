// What runtimes are told of a model besides its weights: texts of special tokens, whether one begins a text, how to sample.
import { basename } from "node:path";

import type { Metadata } from "../formats/gguf/metadata.js";
import type { Model } from "../model/model.js";

/** The text of the token that begins or ends a text; empty where the model has none. */
export function tokenText(metadata: Metadata, kind: "bos" | "eos"): string {
  const id = metadata.number(`tokenizer.ggml.${kind}_token_id`);
  const tokens = metadata.array("tokenizer.ggml.tokens");
  return id === undefined || !tokens ? "" : (tokens.strings()[id] ?? "");
}

/** What llama.cpp does where the file does not say: SentencePiece's vocabularies begin with BOS, and those of Llama 3. */
export function addsBos(metadata: Metadata): boolean {
  const isDefault = metadata.string("tokenizer.ggml.model") === "llama";
  const pre = metadata.string("tokenizer.ggml.pre") ?? "";
  return metadata.boolean("tokenizer.ggml.add_bos_token") ?? (isDefault || ["llama-bpe", "tekken"].includes(pre));
}

/** A name that every runtime takes: of lower-case letters, digits, dots, dashes and underscores. */
export function modelLabel({ spec, path = "model" }: Model): string {
  const name = (spec.name ?? basename(path, ".gguf")).toLowerCase();
  return name.replaceAll(/[^a-z0-9._-]+/g, "-").replaceAll(/^[-._]+|[-._]+$/g, "") || "model";
}

/** How the model's makers would have it sampled: `temperature`, `top_k`, `top_p`, `min_p`, those that are stated. */
export function statedSampling(metadata: Metadata): Record<string, number> {
  const keys = { temperature: "temp", top_k: "top_k", top_p: "top_p", min_p: "min_p" };
  const entries = Object.entries(keys).flatMap(([name, key]): [string, number][] => {
    const value = metadata.number(`general.sampling.${key}`);
    return value === undefined ? [] : [[name, Number(value.toPrecision(6))]];
  });
  return Object.fromEntries(entries);
}
