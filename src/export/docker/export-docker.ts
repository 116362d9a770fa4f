// `export docker`: a folder from which an image is built that serves the model, and a compose file that runs it.
import { cp, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

import { PareError } from "../../errors.js";
import { openModel } from "../../model/open.js";
import { writeFailure, writeFileAtomic } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { shellQuote } from "../../support/shell-quote.js";
import { modelLabel } from "../model-facts.js";
import { onlyFile, placeModel } from "../model-file.js";
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

/** Pare's own package, of which the image gets what runs. */
const PACKAGE = fileURLToPath(new URL("../../..", import.meta.url));
const COPIED = ["dist", "devices", "schemas", "package.json", "LICENSE"];

/**
 * Writes the folder.
 *
 * @throws {FormatError} when the file is no sound model
 * @throws {PareError} when Pare is not built
 */
export async function exportDocker(
  request: DockerExportRequest,
  options: RunOptions = {},
): Promise<DockerExportResult> {
  const { output, contextLength } = request;
  await using model = await openModel(request.model, { signal: options.signal });
  const file = onlyFile(model);
  const name = modelLabel(model);
  await copyPackage(join(output, "pare"));
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

/** Without maps and types, which nobody reads there. */
async function copyPackage(target: string): Promise<void> {
  const main = join(PACKAGE, "dist/cli/main.js");
  await readFile(main).catch((cause: unknown) => {
    throw new PareError(`Cannot copy Pare into "${target}": there is no "${main}"`, {
      hint: "Run: npm run build",
      cause,
    });
  });
  try {
    await rm(join(target, "dist"), { recursive: true, force: true }); // files of an older version
    for (const name of COPIED) {
      const filter = (source: string) => !/\.(map|d\.ts)$|^\.tsbuildinfo$/.test(basename(source));
      await cp(join(PACKAGE, name), join(target, name), { recursive: true, filter });
    }
  } catch (cause) {
    throw writeFailure(target, cause);
  }
}
