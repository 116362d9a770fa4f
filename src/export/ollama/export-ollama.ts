// `export ollama`: a folder with the model and a Modelfile, for `ollama create`.
import { basename, join } from "node:path";

import { UsageError } from "../../errors.js";
import { ChatTemplate } from "../../evaluate/chat-template.js";
import type { Metadata } from "../../formats/gguf/metadata.js";
import { PIECE_TYPES } from "../../formats/huggingface/sentencepiece.js";
import type { Model } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { writeFileAtomic } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { shellQuote } from "../../support/shell-quote.js";
import { onlyFile, placeModel } from "../model-file.js";
import { addsBos, modelLabel, statedSampling, tokenText } from "../model-facts.js";
import type { Parity } from "../parity/compare.js";
import { CONVERSATIONS_TRIED, type ChatFrames, chatFrames } from "./chat-frames.js";
import { goTemplate } from "./go-template.js";
import { renderModelfile } from "./modelfile.js";
import { ollamaParity } from "./ollama-parity.js";

/** What to export. */
export interface OllamaExportRequest {
  /** GGUF file. */
  model: string;
  /** Folder to write to. */
  output: string;
  /** Tokens of context; Ollama's own default otherwise. */
  contextLength?: number | undefined;
  /** Type of the KV cache: `f16`, `q8_0` or `q4_0`. A setting of Ollama's server, so it is told, not written. */
  cacheType?: string | undefined;
  /** False to leave the comparison with Ollama out. */
  parity?: boolean | undefined;
}

/** What was written. */
export interface OllamaExportResult {
  /** The Modelfile. */
  path: string;
  /** The GGUF file beside it. */
  model: string;
  /** True when the chat template was written in Ollama's language; false leaves Ollama to recognize it. */
  hasTemplate: boolean;
  /** Conversations on which it gave the text of the model's own template. */
  conversationsCompared: number;
  stop: string[];
  parity: Parity;
  /** What to do next. */
  commands: string[];
  warnings: string[];
}

/** Two days: a template that writes the date has no text of its own. */
const DATES = [new Date("2024-01-02"), new Date("2025-11-30")];
const CACHE_TYPES = ["f16", "q8_0", "q4_0"];

/**
 * Writes the folder.
 *
 * @throws {UsageError} when Ollama has no such type of cache
 * @throws {FormatError} when the file is no sound model
 */
export async function exportOllama(
  request: OllamaExportRequest,
  options: RunOptions = {},
): Promise<OllamaExportResult> {
  const { output, cacheType } = request;
  if (cacheType !== undefined && !CACHE_TYPES.includes(cacheType)) {
    throw new UsageError(`Ollama has no KV cache of type "${cacheType}"`, {
      hint: `Choose of ${CACHE_TYPES.join(", ")}`,
    });
  }
  await using model = await openModel(request.model, { signal: options.signal });
  const file = onlyFile(model);
  const { frames, warnings } = framesOf(model);
  const stop = frames ? stopTexts(model.metadata, frames) : [];
  const target = join(output, basename(file));
  const path = join(output, "Modelfile");
  await placeModel(file, target, options.signal);
  await writeFileAtomic(path, renderModelfile(contents(request, model, basename(file), frames, stop)));
  return {
    path,
    model: target,
    hasTemplate: frames !== undefined,
    conversationsCompared: frames ? CONVERSATIONS_TRIED : 0,
    stop,
    parity: await ollamaParity({ model: request.model, modelfile: path, parity: request.parity }, options),
    commands: commands(path, model, cacheType),
    warnings,
  };
}

/** The frames of the model's template, and what is to be said where there are none. */
function framesOf(model: Model): { frames: ChatFrames | undefined; warnings: string[] } {
  const { metadata } = model;
  const source = metadata.string("tokenizer.chat_template");
  if (source === undefined)
    return { frames: undefined, warnings: ["The model has no chat template; it will continue texts"] };
  const [bosText, eosText] = [tokenText(metadata, "bos"), tokenText(metadata, "eos")];
  // Ollama adds BOS by itself where the vocabulary wants it, so the template must not.
  const withoutBos = addsBos(metadata) ? "" : bosText;
  const framesAt = (today: Date) => {
    const modelPath = model.path ?? "model";
    const template = new ChatTemplate(source, { bosText: withoutBos, eosText, modelPath, today });
    return chatFrames((messages) => template.render({ messages }));
  };
  const [frames, later] = DATES.map(framesAt);
  if (frames && JSON.stringify(frames) === JSON.stringify(later)) return { frames, warnings: [] };
  const warning =
    "The chat template does more than frame messages by their role (it writes the date, or drops earlier thinking), so it was not written in Ollama's language; " +
    "Ollama uses one that it recognizes, or none: compare with pare chat";
  return { frames: undefined, warnings: [warning] };
}

/** Control tokens that the frames have: none of them belongs in an answer. */
function stopTexts(metadata: Metadata, { beforeUser, beforeAssistant, behindAssistant }: ChatFrames): string[] {
  const texts = metadata.array("tokenizer.ggml.tokens")?.strings() ?? [];
  const types = metadata.array("tokenizer.ggml.token_type")?.numbers() ?? [];
  const around = [behindAssistant, beforeUser, beforeAssistant].join("\0");
  return texts.filter((text, id) => types[id] === PIECE_TYPES.control && text !== "" && around.includes(text));
}

function contents(
  { contextLength }: OllamaExportRequest,
  { metadata }: Model,
  file: string,
  frames: ChatFrames | undefined,
  stop: readonly string[],
) {
  return {
    from: `./${file}`,
    template: frames && goTemplate(frames),
    parameters: [
      ...(contextLength === undefined ? [] : [["num_ctx", contextLength] as const]),
      ...Object.entries(statedSampling(metadata)),
      ...stop.map((text) => ["stop", text] as const),
    ],
    license: metadata.string("general.license"),
    comments: ["Written by pare export ollama"],
  };
}

function commands(path: string, model: Model, cacheType: string | undefined): string[] {
  const label = modelLabel(model);
  const serve = `OLLAMA_FLASH_ATTENTION=1 OLLAMA_KV_CACHE_TYPE=${cacheType} ollama serve`;
  return [
    ...(cacheType === undefined || cacheType === "f16" ? [] : [serve]),
    `ollama create ${label} -f ${shellQuote(path)}`,
    `ollama run ${label}`,
  ];
}
