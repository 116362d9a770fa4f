// Which tokens start and end a text, and whether they are added: from the tokenizer's post-processor and configuration,
// as llama.cpp's converter reads them (gguf-py's SpecialVocab), with `config.json` for what they leave out.
import type { Config } from "./config.js";
import { isJsonObject } from "./json-file.js";
import type { TokenizerFiles } from "./tokenizer-files.js";
import { type TokenizerJson, stepsOf } from "./tokenizer-json.js";

const KINDS = ["bos", "eos", "unk", "sep", "pad", "cls", "mask"] as const;
type Kind = (typeof KINDS)[number] | "eot";

/** Ids by kind, and which of them are put around a text. */
export interface SpecialTokens {
  readonly ids: ReadonlyMap<Kind, number>;
  readonly adds: ReadonlyMap<Kind, boolean>;
}

/** @param size tokens of the vocabulary: an id beyond is left out */
export function specialTokens(files: TokenizerFiles, config: Config, size: number): SpecialTokens {
  const texts = new Map<Kind, string>();
  for (const kind of KINDS) {
    const text = textOf(files.config, kind);
    if (text !== undefined) texts.set(kind, text);
  }
  const adds = files.json ? fromPostProcessor(files.json, texts) : new Map<Kind, boolean>();
  const ids = new Map<Kind, number>();
  for (const kind of [...KINDS, "eot"] as const) {
    const isAdded = kind === "eot" ? undefined : files.config.flag(`add_${kind}_token`);
    if (isAdded !== undefined) adds.set(kind, isAdded);
    const id = idOf(files, texts.get(kind)) ?? (kind === "eot" ? undefined : configId(config, kind));
    if (id !== undefined && id < size) ids.set(kind, id);
  }
  return { ids, adds };
}

/** A token is written as a text, or as an object with its content. */
function textOf(config: Config, kind: Kind): string | undefined {
  const token = config.values[`${kind}_token`];
  const text = isJsonObject(token) ? token["content"] : token;
  return typeof text === "string" ? text : undefined;
}

function idOf({ json, addedTokens }: TokenizerFiles, text: string | undefined): number | undefined {
  const tokens = json?.addedTokens ?? addedTokens;
  return text === undefined ? undefined : tokens.find(({ content }) => content === text)?.id;
}

/** Several ids for the end, as newer configurations have, are for the one who generates; a file has one. */
function configId(config: Config, kind: Kind): number | undefined {
  const id = config.values[`${kind}_token_id`];
  return Number.isInteger(id) && (id as number) >= 0 ? (id as number) : undefined;
}

/** What a `TemplateProcessing` puts before and behind one text; where `texts` has another token, its own wins. */
function fromPostProcessor(json: TokenizerJson, texts: Map<Kind, string>): Map<Kind, boolean> {
  const adds = new Map<Kind, boolean>();
  for (const step of stepsOf(json.postProcessor)) {
    const single = step["single"];
    if (step["type"] !== "TemplateProcessing" || !Array.isArray(single) || single.length < 2) continue;
    const first = specialOf(single[0]);
    const last = specialOf(single.at(-1));
    if (first !== undefined) {
      if (!texts.has("bos")) texts.set("bos", first);
      adds.set("bos", first === texts.get("bos") || first === texts.get("cls"));
    }
    if (last !== undefined) {
      const eos = texts.get("eos");
      if (eos !== undefined && eos !== last) texts.set("eot", eos);
      texts.set("eos", last);
      adds.set("eos", true);
    }
    const between = betweenPair(step["pair"], first, last);
    if (between.length > 0) {
      const isSeparator = between.some(
        (text) => text !== undefined && [texts.get("sep"), texts.get("eos")].includes(text),
      );
      adds.set("sep", isSeparator && last === undefined);
    }
  }
  return adds;
}

/** The special tokens between two texts. */
function betweenPair(pair: unknown, first: string | undefined, last: string | undefined): (string | undefined)[] {
  if (!Array.isArray(pair) || pair.length === 0) return [];
  const start = first !== undefined && specialOf(pair[0]) === first ? 1 : 0;
  const end = last !== undefined && specialOf(pair.at(-1)) === last ? pair.length - 1 : pair.length;
  return pair.slice(start + 1, end - 1).map(specialOf);
}

function specialOf(part: unknown): string | undefined {
  const token = isJsonObject(part) ? part["SpecialToken"] : undefined;
  const id = isJsonObject(token) ? token["id"] : undefined;
  return typeof id === "string" ? id : undefined;
}
