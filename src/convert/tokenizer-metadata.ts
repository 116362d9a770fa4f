// `tokenizer.*`: the vocabulary, the special tokens and the chat template, under the keys that llama.cpp reads.
import { Template } from "@huggingface/jinja";

import { messageOf } from "../errors.js";
import { type Metadata, MetadataArray } from "../formats/gguf/metadata.js";
import type { SpecialTokens } from "../formats/huggingface/special-tokens.js";
import type { ChatTemplate } from "../formats/huggingface/tokenizer-files.js";
import type { Vocabulary } from "../formats/huggingface/vocabulary.js";

const KEYS: Readonly<Record<string, string>> = { unk: "unknown", sep: "seperator", pad: "padding" };

export function addVocabulary(metadata: Metadata, vocabulary: Vocabulary): void {
  const { model, pre, tokens, types, scores, merges, addsSpacePrefix } = vocabulary;
  const list = (key: string, type: "string" | "float32" | "int32", values: readonly (string | number)[]) =>
    metadata.set(`tokenizer.ggml.${key}`, "array", MetadataArray.of(type, values));
  metadata.set("tokenizer.ggml.model", "string", model).set("tokenizer.ggml.pre", "string", pre);
  list("tokens", "string", tokens);
  if (scores) list("scores", "float32", scores);
  list("token_type", "int32", types);
  if (merges) list("merges", "string", merges);
  if (addsSpacePrefix !== undefined) metadata.set("tokenizer.ggml.add_space_prefix", "bool", addsSpacePrefix);
}

/** A tokenizer that says nothing of BOS adds none; llama.cpp, told nothing, may. */
export function addSpecialTokens(metadata: Metadata, { ids, adds }: SpecialTokens, vocabulary: Vocabulary): void {
  for (const [kind, id] of ids) metadata.set(`tokenizer.ggml.${KEYS[kind] ?? kind}_token_id`, "uint32", id);
  for (const [kind, isAdded] of adds) metadata.set(`tokenizer.ggml.add_${kind}_token`, "bool", isAdded);
  if (vocabulary.model === "gpt2" && vocabulary.addsBosByDefault && !adds.has("bos")) {
    metadata.set("tokenizer.ggml.add_bos_token", "bool", false);
  }
}

/** @returns what is wrong with templates that can't be used */
export function addTemplates(metadata: Metadata, templates: readonly ChatTemplate[]): string[] {
  const others: string[] = [];
  const warnings: string[] = [];
  for (const { name, template } of templates) {
    warnings.push(...templateFault(name, template));
    if (name === "default") metadata.set("tokenizer.chat_template", "string", template);
    else {
      const key = name.replaceAll(/[^a-zA-Z0-9]/g, "_");
      metadata.set(`tokenizer.chat_template.${key}`, "string", template);
      others.push(key);
    }
  }
  if (others.length > 0) metadata.set("tokenizer.chat_templates", "array", MetadataArray.of("string", others));
  return warnings;
}

function templateFault(name: string, template: string): string[] {
  try {
    void new Template(template);
    return [];
  } catch (error) {
    const which = name === "default" ? "The chat template" : `The chat template "${name}"`;
    return [`${which} does not parse, so nobody can chat with the model: ${messageOf(error)}`];
  }
}
