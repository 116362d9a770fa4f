// `export docker`: a folder from which an image is built that serves the model, and a compose file that runs it.
import { join } from "node:path";

import { openModel } from "../../model/open.js";
import { writeFileAtomic } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { shellQuote } from "../../support/shell-quote.js";
import { modelLabel } from "../model-facts.js";
import { onlyFile, placeModel } from "../model-file.js";
import { placeOwnPackage } from "../own-package.js";
import { composeFile, dockerfile } from "./files.js";

/** What to export. */
export interface DockerExportRequest {
  /** GGUF file. */
  model: string;
  /** Folder to write to. */
  output: string;
  /** Tokens of a conversation; the server's default otherwise. */
  contextLength?: number | undefined;
}

/** What was written. */
export interface DockerExportResult {
  /** The Dockerfile. */
  path: string;
  /** What requests call the model. */
  name: string;
  /** What to do next. */
  commands: string[];
  warnings: string[];
}

/**
 * Writes the folder.
 *
 * @throws {FormatError} when the file is no sound model
 * @throws {PareError} when Pare can't be packed
 */
export async function exportDocker(
  request: DockerExportRequest,
  options: RunOptions = {},
): Promise<DockerExportResult> {
  const { output, contextLength } = request;
  await using model = await openModel(request.model, { signal: options.signal });
  const file = onlyFile(model);
  const name = modelLabel(model);
  await placeOwnPackage(output, name, options);
  await placeModel(file, join(output, "model.gguf"), options.signal);
  const path = join(output, "Dockerfile");
  await writeFileAtomic(path, dockerfile({ name, contextLength }));
  await writeFileAtomic(join(output, "compose.yaml"), composeFile({ name }));
  const quoted = shellQuote(output);
  return {
    path,
    name,
    commands: [`docker compose --project-directory ${quoted} up --build`, "curl http://127.0.0.1:8080/health"],
    warnings: [],
  };
}
