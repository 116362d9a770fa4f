// What `pare fit` is asked: the file, if there is one, and the options, which go before it.
import { existsSync } from "node:fs";

import { UsageError } from "../errors.js";
import { parseFitRequest } from "../fit/fit.js";
import type { FitRequest, FitRequestInput } from "../fit/request.js";
import type { Invocation } from "./invocation.js";
import { optional } from "../support/optional.js";
import { readRequestFile } from "./request-file.js";
import { taskPath } from "./task-options.js";

/** The file that is taken when no model and no `--config` is given. */
const FILE_DEFAULT = "pare.yaml";

/** The options of `pare fit` as commander hands them over: the request's own, in numbers. */
export interface FitOptions extends Partial<
  Omit<FitRequestInput, "models" | "threads" | "importance" | "candidates" | "sizes">
> {
  config?: string;
  imatrix?: string;
  candidate?: string[];
  size?: string[];
  cascade?: boolean;
  suite?: string;
}

/**
 * Puts the request together.
 *
 * @throws {UsageError} when something needed is missing
 * @throws {FormatError} when the file is not a request
 */
export async function fitRequest(
  models: readonly string[],
  given: FitOptions,
  invocation: Invocation,
): Promise<FitRequest> {
  const { config, imatrix, candidate, size, suite, cascade: _cascade, ...rest } = given;
  const task = taskPath({ ...optional("task", rest.task), ...optional("suite", suite) });
  const options = { ...rest, ...optional("task", task) };
  const path = config ?? (models.length === 0 && existsSync(FILE_DEFAULT) ? FILE_DEFAULT : undefined);
  if (path !== undefined && config === undefined) invocation.remark(`Reading ${path}`);
  const fromFile = path === undefined ? {} : await readRequestFile(path);
  // A task here replaces a text there, and the other way round.
  if (options.task !== undefined) delete fromFile.text;
  if (options.text !== undefined) delete fromFile.task;
  const request = {
    ...fromFile,
    ...options,
    ...(models.length > 0 && { models: [...models] }),
    ...(candidate !== undefined && { candidates: candidate }),
    ...(size !== undefined && { sizes: size }),
    ...(imatrix !== undefined && { importance: imatrix }),
    ...(invocation.threads !== undefined && { threads: invocation.threads }),
  };
  if (request.models === undefined) {
    throw new UsageError("No model is given", { hint: "Name a GGUF file, or write a pare.yaml" });
  }
  if (request.task === undefined && request.text === undefined) {
    throw new UsageError("No task and no text is given", { hint: "Add --task cases.jsonl or --text heldout.txt" });
  }
  return parseFitRequest(request);
}
