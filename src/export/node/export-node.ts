// `export node`: a program of ten lines that talks to the model, to begin one's own with.
import { join } from "node:path";

import { openModel } from "../../model/open.js";
import { writeFileAtomic } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { shellQuote } from "../../support/shell-quote.js";
import { modelLabel } from "../model-facts.js";
import { onlyFile, placeModel } from "../model-file.js";
import { placeOwnPackage } from "../own-package.js";

/** What to export. */
export interface NodeExportRequest {
  /** GGUF file. */
  model: string;
  /** Folder to write to. */
  output: string;
}

/** What was written. */
export interface NodeExportResult {
  /** The program. */
  path: string;
  /** What to do next. */
  commands: string[];
  warnings: string[];
}

const PROGRAM = `// Talks to the model beside it: node chat.mjs "a question"
import { fileURLToPath } from "node:url";

import { chat } from "pare";

const model = fileURLToPath(new URL("model.gguf", import.meta.url));
const session = chat({ model, greedy: true });
for (const question of process.argv.slice(2)) {
  for await (const piece of session.send(question)) process.stdout.write(piece);
  process.stdout.write("\\n");
}
await session.close();
`;

/** @throws {FormatError} when the file is no sound model; {PareError} when Pare can't be packed */
export async function exportNode(request: NodeExportRequest, options: RunOptions = {}): Promise<NodeExportResult> {
  const { output } = request;
  await using model = await openModel(request.model, { signal: options.signal });
  await placeModel(onlyFile(model), join(output, "model.gguf"), options.signal);
  const path = join(output, "chat.mjs");
  await writeFileAtomic(path, PROGRAM);
  await placeOwnPackage(output, modelLabel(model), options);
  const quoted = shellQuote(output);
  return {
    path,
    commands: [`npm install --prefix ${quoted}`, `node ${shellQuote(path)} "Good morning!"`],
    warnings: [],
  };
}
