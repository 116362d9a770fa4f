// `export node`: a program of ten lines that talks to the model, to begin one's own with.
import { readFile } from "node:fs/promises";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";

import { openModel } from "../../model/open.js";
import { writeFileAtomic } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { shellQuote } from "../../support/shell-quote.js";
import { modelLabel } from "../model-facts.js";
import { onlyFile, placeModel } from "../model-file.js";

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

/** @throws {FormatError} when the file is no sound model */
export async function exportNode(request: NodeExportRequest, options: RunOptions = {}): Promise<NodeExportResult> {
  const { output } = request;
  await using model = await openModel(request.model, { signal: options.signal });
  await placeModel(onlyFile(model), join(output, "model.gguf"), options.signal);
  const path = join(output, "chat.mjs");
  await writeFileAtomic(path, PROGRAM);
  const manifest = {
    name: modelLabel(model),
    private: true,
    type: "module",
    dependencies: { pare: await ownVersion() },
  };
  await writeFileAtomic(join(output, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  const quoted = shellQuote(output);
  return {
    path,
    commands: [`npm install --prefix ${quoted}`, `node ${shellQuote(path)} "Good morning!"`],
    warnings: [],
  };
}

/** The version that runs; out of a checkout, which is on no registry, its folder. */
async function ownVersion(): Promise<string> {
  const folder = fileURLToPath(new URL("../../..", import.meta.url));
  if (!folder.includes(`${sep}node_modules${sep}`)) return `file:${folder}`;
  const text = await readFile(join(folder, "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
