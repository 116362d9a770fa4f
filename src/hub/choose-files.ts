// Which files of a repository are a model: safetensors with what belongs to them, or one GGUF. Pickles (`.bin`, `.pt`) are
// never taken: reading one can run any program.
import { PareError } from "../errors.js";
import { formatBytes } from "../support/units.js";
import type { HubFile } from "./list-files.js";
import { parseSplitPath } from "../formats/gguf/split-path.js";

/** Texts that a conversion reads, and those that must travel with weights. */
const TEXTS = /^(.*\.json|.*\.jinja|tokenizer\.model|merges\.txt|README\.md|LICEN[CS]E.*|NOTICE.*|USE_POLICY.*)$/i;
/** Several times the largest tokenizer. */
const TEXT_BYTES_MAX = 128 * 2 ** 20;
const NAMES_SHOWN = 20;

/**
 * The files to download.
 *
 * @param wanted a file of the repository, or undefined for the model in it
 * @throws {PareError} when there is no such file or no model, or when there are several to choose from
 */
export function chooseFiles(repository: string, files: readonly HubFile[], wanted: string | undefined): HubFile[] {
  if (wanted !== undefined) return namedFile(repository, files, wanted);
  const root = files.filter(({ path }) => !path.includes("/"));
  const texts = root.filter(({ path, sizeBytes }) => TEXTS.test(path) && sizeBytes <= TEXT_BYTES_MAX);
  const weights = root.filter(({ path }) => path.endsWith(".safetensors"));
  if (weights.length > 0) return [...texts, ...preferred(weights)];
  const ggufs = files.filter(({ path }) => path.endsWith(".gguf"));
  const firsts = ggufs.filter(({ path }) => (parseSplitPath(path)?.part ?? 0) === 0);
  if (firsts.length === 1) return [...licences(texts), ...partsOf(firsts[0]!, ggufs)];
  if (firsts.length > 1) throw tooMany(repository, firsts);
  throw noModel(repository, files);
}

/** Any file but a pickle; of a split GGUF all parts. */
function namedFile(repository: string, files: readonly HubFile[], wanted: string): HubFile[] {
  const file = files.find(({ path }) => path === wanted);
  if (!file) {
    throw new PareError(`"${repository}" has no file "${wanted}"`, {
      hint: `It has ${listed(files.filter(({ path }) => /\.(gguf|safetensors)$/.test(path)))}`,
    });
  }
  if (!wanted.endsWith(".gguf") && !wanted.endsWith(".safetensors") && !TEXTS.test(wanted.split("/").at(-1)!)) {
    throw new PareError(`"${wanted}" is not downloaded: only safetensors, GGUF and the texts beside them are`, {
      hint: "A pickle can run any program when it is read",
    });
  }
  return partsOf(file, files);
}

/** `model*.safetensors` where there are others, such as `consolidated.safetensors` with the same weights again. */
function preferred(weights: readonly HubFile[]): readonly HubFile[] {
  const named = weights.filter(({ path }) => path.startsWith("model"));
  return named.length > 0 ? named : weights;
}

function licences(texts: readonly HubFile[]): readonly HubFile[] {
  return texts.filter(({ path }) => !/\.(json|jinja|model|txt)$/.test(path));
}

function partsOf(file: HubFile, files: readonly HubFile[]): HubFile[] {
  const place = parseSplitPath(file.path);
  if (!place) return [file];
  return files.filter(({ path }) => {
    const other = parseSplitPath(path);
    return other?.prefix === place.prefix && other.parts === place.parts;
  });
}

function tooMany(repository: string, files: readonly HubFile[]): PareError {
  return new PareError(`"${repository}" has ${files.length} GGUF files`, {
    hint: `Name one, as in ${repository}:${files[0]!.path}. There are ${listed(files)}`,
  });
}

function noModel(repository: string, files: readonly HubFile[]): PareError {
  const pickle = files.find(({ path }) => /\.(bin|pt|pth|ckpt)$/.test(path));
  return new PareError(`"${repository}" has no safetensors and no GGUF`, {
    hint: pickle
      ? `"${pickle.path}" is a pickle, which can run any program when it is read; look for a revision with safetensors`
      : "Check the name",
  });
}

function listed(files: readonly HubFile[]): string {
  const names = files.slice(0, NAMES_SHOWN).map(({ path, sizeBytes }) => `${path} (${formatBytes(sizeBytes)})`);
  const more = files.length > NAMES_SHOWN ? ` and ${files.length - NAMES_SHOWN} more` : "";
  return names.length > 0 ? `${names.join(", ")}${more}` : "no weights";
}
