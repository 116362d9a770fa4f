// What a GGUF file brings along, for the table of a comparison.
import type { Integration } from "../evaluate/endpoint/describe-endpoint.js";
import { openModel } from "../model/open.js";

/** Families that `pare train` goes on with. */
const TRAINABLE = new Set(["llama", "qwen2", "qwen3"]);

export interface FileIntegration extends Integration {
  sizeBytes: number;
}

export async function describeFile(path: string, { signal }: { signal?: AbortSignal } = {}): Promise<FileIntegration> {
  await using model = await openModel(path, signal === undefined ? {} : { signal });
  const { metadata, spec } = model;
  const template = metadata.string("tokenizer.chat_template");
  const isTrainable = TRAINABLE.has(spec.architecture);
  return {
    contextLength: spec.contextLength || null,
    tools: template === undefined ? false : /\btools\b/u.test(template),
    jsonMode: true, // by grammar, in llama.cpp and pare serve
    license: metadata.string("general.license") ?? null,
    api: "file: llama.cpp, Ollama, pare serve",
    fineTuning: isTrainable ? "open weights; pare train" : "open weights",
    sizeBytes: model.fileSizeBytes ?? 0,
  };
}
