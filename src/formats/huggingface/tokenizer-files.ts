// The files of a checkpoint that describe its tokenizer, those that there are.
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { FormatError, PareError } from "../../errors.js";
import { Config } from "./config.js";
import { isJsonObject, readJsonFile } from "./json-file.js";
import { type Piece, readSentencePiece } from "./sentencepiece.js";
import { type AddedToken, type TokenizerJson, parseTokenizerJson } from "./tokenizer-json.js";

/** A chat template; the one to use by default has the name `default`. */
export interface ChatTemplate {
  readonly name: string;
  readonly template: string;
}

export interface TokenizerFiles {
  readonly folder: string;
  /** `tokenizer.model`. */
  readonly pieces: readonly Piece[] | undefined;
  /** `tokenizer.json`. */
  readonly json: TokenizerJson | undefined;
  /** `tokenizer_config.json`; empty when absent. */
  readonly config: Config;
  /** From `added_tokens.json`: text and id alone. */
  readonly addedTexts: readonly Omit<AddedToken, "special">[];
  /** From `tokenizer_config.json`. */
  readonly addedTokens: readonly AddedToken[];
  readonly templates: readonly ChatTemplate[];
}

/** @throws {FormatError} when one is damaged */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const at = (name: string) => join(folder, name);
  const json = await readJsonFile(at("tokenizer.json"));
  const config = new Config(at("tokenizer_config.json"), (await readJsonFile(at("tokenizer_config.json"))) ?? {});
  const added = (await readJsonFile(at("added_tokens.json"))) ?? {};
  return {
    folder,
    pieces: await readSentencePiece(at("tokenizer.model")),
    json: json && parseTokenizerJson(at("tokenizer.json"), json),
    config,
    addedTexts: Object.entries(added).flatMap(([content, id]) => (isId(id) ? [{ id, content }] : [])),
    addedTokens: decoderTokens(config),
    templates: await readTemplates(folder, config),
  };
}

/** `added_tokens_decoder`: an object from ids to tokens. */
function decoderTokens(config: Config): AddedToken[] {
  return Object.entries(config.section("added_tokens_decoder")?.values ?? {}).map(([key, token]) => {
    const id = Number(key);
    if (isId(id) && isJsonObject(token) && typeof token["content"] === "string") {
      return { id, content: token["content"], special: token["special"] === true };
    }
    throw new FormatError(config.path, `Cannot read "${config.path}": added token "${key}" has no id or no content`);
  });
}

/** From `tokenizer_config.json`, else `chat_template.jinja`, else `chat_template.json`. */
async function readTemplates(folder: string, config: Config): Promise<ChatTemplate[]> {
  const own = config.values["chat_template"] ?? undefined;
  const inFile = own === undefined ? await readTemplateFile(folder) : undefined;
  const template = own ?? inFile;
  if (template === undefined) return [];
  if (typeof template === "string") return [{ name: "default", template }];
  if (Array.isArray(template) && template.every(isTemplate)) return template;
  throw config.failure("chat_template", "a text or a list of names and templates");
}

async function readTemplateFile(folder: string): Promise<unknown> {
  const path = join(folder, "chat_template.jinja");
  const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw new PareError(`Cannot read "${path}": ${cause.message}`, { cause });
  });
  return text ?? (await readJsonFile(join(folder, "chat_template.json")))?.["chat_template"];
}

function isTemplate(value: unknown): value is ChatTemplate {
  return isJsonObject(value) && typeof value["name"] === "string" && typeof value["template"] === "string";
}

function isId(id: unknown): id is number {
  return Number.isInteger(id) && (id as number) >= 0;
}
