// `export browser`: a folder of static files that chats in the visitor's browser, and goes on without a network after the
// first visit. llama.cpp runs there as WebAssembly, by wllama (https://github.com/ngxson/wllama).
import { readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";

import { PareError } from "../../errors.js";
import { ChatTemplate } from "../../evaluate/chat-template.js";
import type { Metadata } from "../../formats/gguf/metadata.js";
import type { Model } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import { sha256, writeFileAtomic } from "../../support/files.js";
import type { RunOptions } from "../../support/progress.js";
import { shellQuote } from "../../support/shell-quote.js";
import { formatBytes } from "../../support/units.js";
import { onlyFile } from "../model-file.js";
import type { Parity } from "../parity/compare.js";
import { statedSampling, tokenText } from "../model-facts.js";
import { APP_SCRIPT } from "./app-script.js";
import { type Chunk, chunkModel, removeOtherPieces } from "./chunk-model.js";
import { ENGINE_SCRIPT } from "./engine-script.js";
import { BROWSER_STYLE, ICON, browserPage, webManifest } from "./page.js";
import { browserParity } from "./browser-parity.js";
import { workerScript } from "./worker-script.js";

/** What to export. */
export interface BrowserExportRequest {
  /** GGUF file. */
  model: string;
  /** Folder to write to. */
  output: string;
  /** Tokens of context; the model's trained length by default, at most 4096. */
  contextLength?: number | undefined;
  /** Bytes of a piece of the model; 24 MiB by default, which the hosts with the lowest limit take. */
  chunkBytes?: number | undefined;
  /** Chromium or Chrome to compare answers in; one on the PATH by default. */
  browser?: string | undefined;
  /** False to leave the comparison out. */
  parity?: boolean | undefined;
}

/** What was written. */
export interface BrowserExportResult {
  /** The folder. */
  path: string;
  /** Files in it. */
  files: number;
  /** Bytes of all of them. */
  sizeBytes: number;
  /** Pieces of the model. */
  chunks: number;
  parity: Parity;
  /** What to do next. */
  commands: string[];
  warnings: string[];
}

/** `model.json`: what the page knows of the model. */
export interface BrowserManifest {
  readonly name: string;
  readonly sizeBytes: number;
  readonly chunks: readonly Chunk[];
  /** The engine's two builds: browsers allow threads only where certain headers are sent. */
  readonly wasm: { readonly singleThread: string; readonly multiThread: string };
  readonly contextLength: number;
  /** The chat template; null has the page continue texts. */
  readonly template: string | null;
  readonly bosText: string;
  readonly eosText: string;
  /** In wllama's spelling. */
  readonly sampling: Readonly<Record<string, number>>;
  readonly license: string | null;
}

/** A tab has 4 GiB for the engine, and the model is in it beside its cache. */
const MODEL_BYTES_MAX = 2 * 2 ** 30;
const CONTEXT_LENGTH_MAX = 4096;
/** As `pare chat` samples, where the model does not say. */
const SAMPLING = { temp: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05 };

/**
 * Writes the folder.
 *
 * @throws {PareError} when the model is too large for a tab
 * @throws {FormatError} when the file is no sound model, or its chat template is no Jinja
 */
export async function exportBrowser(
  request: BrowserExportRequest,
  options: RunOptions = {},
): Promise<BrowserExportResult> {
  const { output } = request;
  await using model = await openModel(request.model, { signal: options.signal });
  const file = onlyFile(model);
  const { size } = await stat(file);
  if (size > MODEL_BYTES_MAX) throw tooLarge(request.model, size);
  const template = templateOf(model);
  const chunks = await chunkModel(file, output, { ...options, chunkBytes: request.chunkBytes });
  const libraries = await readLibraries();
  const manifest = manifestOf(model, { template, chunks, libraries, contextLength: request.contextLength });
  const files = new Map([...libraries.files, ...pageFiles(manifest, libraries)]);
  for (const [name, data] of files) await writeFileAtomic(join(output, name), data);
  await removeOtherPieces(output, new Set([...files.keys(), ...chunks.map(({ path }) => path)]));
  const parity = await browserParity({ ...request, folder: output }, options);
  return {
    path: output,
    files: files.size + chunks.length,
    sizeBytes: size + [...files.values()].reduce((total, data) => total + Buffer.byteLength(data), 0),
    chunks: chunks.length,
    parity,
    commands: [`python3 -m http.server --directory ${shellQuote(output)} 8080`],
    warnings: template === null ? ["The model has no chat template; the page will continue texts"] : [],
  };
}

/** @throws {FormatError} when it does not parse: better here than on the visitor's screen */
function templateOf({ metadata, path = "model" }: Model): string | null {
  const source = metadata.string("tokenizer.chat_template");
  if (source !== undefined) void new ChatTemplate(source, { bosText: "", eosText: "", modelPath: path });
  return source ?? null;
}

function manifestOf(
  { metadata, spec, path }: Model,
  parts: Pick<BrowserManifest, "template" | "chunks"> & { libraries: Libraries; contextLength: number | undefined },
): BrowserManifest {
  const { template, chunks, libraries, contextLength } = parts;
  return {
    name: spec.name ?? basename(path ?? "Model", ".gguf"),
    sizeBytes: chunks.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
    chunks,
    wasm: libraries.wasm,
    contextLength: contextLength ?? Math.min(spec.contextLength || CONTEXT_LENGTH_MAX, CONTEXT_LENGTH_MAX),
    template,
    bosText: tokenText(metadata, "bos"),
    eosText: tokenText(metadata, "eos"),
    sampling: samplingOf(metadata),
    license: metadata.string("general.license") ?? null,
  };
}

function samplingOf(metadata: Metadata): Record<string, number> {
  const { temperature: temp, ...others } = statedSampling(metadata);
  return { ...SAMPLING, ...(temp === undefined ? {} : { temp }), ...others };
}

/** Files of other packages that go with the page. */
interface Libraries {
  readonly files: ReadonlyMap<string, string | Uint8Array>;
  readonly wasm: BrowserManifest["wasm"];
}

/** wllama and the template engine, with their licences. WebAssembly is named by its content, as the model is. */
async function readLibraries(): Promise<Libraries> {
  const { resolve } = createRequire(import.meta.url);
  const wllama = dirname(dirname(resolve("@wllama/wllama/esm/index.js")));
  const jinja = dirname(dirname(resolve("@huggingface/jinja")));
  const read = (folder: string, path: string) => readFile(join(folder, path));
  const [singleThread, multiThread] = [
    await read(wllama, "esm/single-thread/wllama.wasm"),
    await read(wllama, "esm/multi-thread/wllama.wasm"),
  ];
  const nameOf = (build: string, bytes: Uint8Array) => `${build}-${sha256(bytes).slice(0, 16)}.wasm`;
  const wasm = { singleThread: nameOf("single", singleThread), multiThread: nameOf("multi", multiThread) };
  const files = new Map([
    ["wllama.js", await read(wllama, "esm/index.min.js")],
    ["wllama-licence.txt", await read(wllama, "LICENCE")],
    ["jinja.js", await read(jinja, "dist/index.js")],
    ["jinja-licence.txt", await read(jinja, "LICENSE")],
    [wasm.singleThread, singleThread],
    [wasm.multiThread, multiThread],
  ]);
  return { files, wasm };
}

function pageFiles(manifest: BrowserManifest, { files, wasm }: Libraries): Map<string, string | Uint8Array> {
  const page = {
    "style.css": BROWSER_STYLE,
    "app.js": APP_SCRIPT,
    "engine.js": ENGINE_SCRIPT,
    "model.json": `${JSON.stringify(manifest, null, 2)}\n`,
    "icon.svg": ICON,
    "app.webmanifest": webManifest(manifest.name),
  };
  const index = browserPage(manifest.name);
  const shell = ["./", ...Object.keys(page), "wllama.js", "jinja.js"];
  const others = [wasm.singleThread, wasm.multiThread, ...manifest.chunks.map(({ path }) => path)];
  const contents = [index, ...Object.values(page), ...[...files.values()].map(sha256)];
  const version = sha256(contents.join("\0")).slice(0, 16);
  return new Map(Object.entries({ "index.html": index, ...page, "sw.js": workerScript({ shell, others, version }) }));
}

function tooLarge(path: string, size: number): PareError {
  return new PareError(
    `Cannot export "${path}": it has ${formatBytes(size)}, and a browser's tab runs models up to 2 GB`,
    {
      hint: "Quantize it first: pare quantize MODEL SMALL.gguf --type q4_K_M",
    },
  );
}
