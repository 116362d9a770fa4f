// `pare.yaml`: a whole fit request as a file. Keys are those of the request; a complaint names the line.
import { readFile } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";

import { type Document, LineCounter, isMap, isScalar, parseDocument } from "yaml";
import type { z } from "zod";

import { FormatError, PareError, messageOf } from "../errors.js";
import { type FitRequestInput, fitRequestSchema } from "../fit/request.js";
import { pathsOf } from "../fit/adapted-base.js";
import { nearestName } from "../support/nearest-name.js";

type Key = keyof typeof fitRequestSchema.shape;

const KEYS = Object.keys(fitRequestSchema.shape) as Key[];
const HINT = "docs/cli.md lists the options of pare fit; each is a key of the same name";

/** Keys that hold paths; in the file they are relative to its folder. */
const PATH_KEYS = ["models", "task", "text", "calibrate", "importance", "sign", "out"] as const;

/**
 * Reads a request; keys may be missing, as options given beside it complete it.
 *
 * @throws {FormatError} when a key is unknown or a value can't be meant, with its line
 * @throws {PareError} when the file can't be read
 */
export async function readRequestFile(path: string): Promise<Partial<FitRequestInput>> {
  const lines = new LineCounter();
  const document = parseDocument(await readText(path), { lineCounter: lines, prettyErrors: false });
  const fail = (offset: number | undefined, what: string, hint = HINT): never => {
    const line = offset === undefined ? "" : ` line ${lines.linePos(offset).line}:`;
    throw new FormatError(path, `Cannot read request "${path}":${line} ${what}`, { hint });
  };
  const error = document.errors[0];
  if (error) fail(error.pos[0], error.message, "Write YAML, one key: value a line");
  if (document.contents === null) return {};
  if (!isMap(document.contents)) fail(document.contents.range?.[0], "keys and values are wanted");
  checkKeys(document, fail);
  const request = document.toJS() as Partial<FitRequestInput>;
  for (const key of KEYS.filter((name) => name in request)) checkValue(document, key, request[key], fail);
  return relativeTo(dirname(path), request);
}

type Fail = (offset: number | undefined, what: string, hint?: string) => never;

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const reason = code === "ENOENT" ? "no such file" : code === "EISDIR" ? "it is a folder" : messageOf(cause);
    throw new PareError(`Cannot read request "${path}": ${reason}`, { hint: "Check --config", cause });
  }
}

function checkKeys(document: Document, fail: Fail): void {
  if (!isMap(document.contents)) return;
  for (const { key } of document.contents.items) {
    const name = isScalar(key) ? String(key.value) : "";
    if (KEYS.includes(name as Key)) continue;
    const nearest = nearestName(name, KEYS);
    const offset = isScalar(key) ? key.range?.[0] : undefined;
    fail(offset, `key "${name}" is unknown`, nearest ? `Did you mean ${nearest}?` : `Write one of ${KEYS.join(", ")}`);
  }
}

function checkValue(document: Document, key: Key, value: unknown, fail: Fail): void {
  const checked = fitRequestSchema.shape[key].safeParse(value);
  if (checked.success) return;
  const issue = innermost(checked.error.issues[0]!);
  const node = document.getIn([key, ...issue.path], true) as { range?: [number, number, number] } | undefined;
  fail(node?.range?.[0], `"${[key, ...issue.path].join(".")}": ${issue.message}`);
}

/** Of a value that may be written in several ways, the complaint of the last: text with a unit. */
function innermost(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  const inner = issue.code === "invalid_union" ? issue.errors.at(-1)?.[0] : undefined;
  return inner ? innermost(inner) : issue;
}

function relativeTo(folder: string, request: Partial<FitRequestInput>): Partial<FitRequestInput> {
  const place = (path: string): string => (isAbsolute(path) ? path : join(folder, path));
  const placed: Record<string, unknown> = { ...request };
  for (const key of PATH_KEYS) {
    const value = request[key];
    const placeOne =
      key === "models"
        ? (name: string) =>
            pathsOf(name)
              .map((path) => place(path!))
              .join("+")
        : place;
    if (typeof value === "string") placed[key] = placeOne(value);
    else if (Array.isArray(value)) placed[key] = value.map(placeOne);
  }
  if (request.device && /[\\/]|\.json$/i.test(request.device)) placed["device"] = place(request.device);
  return placed;
}
