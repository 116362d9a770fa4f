// What the model card (`README.md`) says at its top, in YAML: licence, origin, tags, languages.
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { parse } from "yaml";

import { PareError } from "../../errors.js";
import { type JsonObject, isJsonObject } from "./json-file.js";

/** The card's front matter; empty when there is none, or when it can't be read, since nothing depends on it. */
export async function readModelCard(folder: string): Promise<JsonObject> {
  const path = join(folder, "README.md");
  const text = await readFile(path, "utf8").catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return "";
    throw new PareError(`Cannot read "${path}": ${cause.message}`, { cause });
  });
  const [, front] = /^---\r?\n(.*?\n)---\s*(?:\n|$)/s.exec(text) ?? [];
  if (front === undefined) return {};
  try {
    const card: unknown = parse(front.replaceAll("\t", "  "), { logLevel: "silent" });
    return isJsonObject(card) ? card : {};
  } catch {
    return {};
  }
}
