// `pare export`: a model with what a runtime wants beside it.
import { Argument, type Command } from "commander";

import { UsageError } from "../errors.js";
import type { Parity } from "../export/parity/compare.js";
import { addExamples } from "./examples.js";
import { type Invocation, perform } from "./invocation.js";
import { argument, bytes, option, wholeNumber } from "./options.js";
import { printable, renderFacts } from "./table.js";

interface ExportOptions {
  context?: number;
  kvCache?: string;
  browser?: string;
  chunkSize?: number;
  weights?: string;
  tokenizer?: string;
  python?: string;
  lora?: string;
  parity: boolean;
}

interface Exported {
  document: { warnings: readonly string[]; commands: readonly string[]; parity?: Parity };
  facts: readonly (readonly [string, string | undefined])[];
}

/** A runtime: the options that mean something to it, and what is done. */
interface Runtime {
  options: readonly (keyof ExportOptions)[];
  write(model: string, output: string, options: ExportOptions, invocation: Invocation): Promise<Exported>;
}

const RUNTIMES: Readonly<Record<string, Runtime>> = {
  ollama: { options: ["context", "kvCache"], write: writeOllama },
  browser: { options: ["context", "browser", "chunkSize"], write: writeBrowser },
  transformers: { options: ["weights", "tokenizer", "lora", "python"], write: writeTransformers },
  vllm: { options: ["weights", "tokenizer", "lora", "python"], write: writeTransformers },
  docker: { options: ["context"], write: writeDocker },
  node: { options: [], write: writeNode },
};

export function describeExport(program: Command): void {
  const command = program
    .command("export")
    .summary("write what a runtime needs to run a model")
    .description(
      "Writes a folder for a runtime. For Ollama: the model and a Modelfile with the chat template in Ollama's language, stop words, sampling " +
        "parameters and licence. For browsers: static files that chat without a server, and without a network after the first visit. " +
        "For transformers and vLLM: safetensors, configuration and tokenizer, the weights in half precision or packed in 4 and 8 bits without being rounded anew. For Docker: an image of the server; for Node: a program of ten lines. " +
        "The export is then compared with the model where its runtime is installed; exit code 1 says that they differ.",
    )
    .addArgument(new Argument("<runtime>", "what is to run it").choices(Object.keys(RUNTIMES)))
    .addArgument(argument("<model>", "GGUF file", "file"))
    .addArgument(argument("<folder>", "folder to write to", "folder"))
    .addOption(
      option("--context <tokens>", "tokens of context (default: the runtime's)", { parse: wholeNumber(16, 1 << 24) }),
    )
    .option("--kv-cache <type>", "for Ollama: f16, q8_0 or q4_0, a setting of its server, which is told")
    .addOption(
      option("--browser <path>", "for browsers: Chromium or Chrome to compare in (default: the one on the PATH)", {
        completes: "file",
      }),
    )
    .addOption(
      option("--chunk-size <size>", "for browsers: size of a piece of the model, such as 24MiB (the default)", {
        parse: bytes,
      }),
    )
    .addOption(
      option(
        "--weights <form>",
        "for transformers and vLLM: f16, bf16, f32 or packed (default: f16, or bf16 as in the model)",
        {
          completes: ["f16", "bf16", "f32", "packed"],
        },
      ),
    )
    .addOption(
      option("--tokenizer <folder>", "for transformers and vLLM: take the files of this checkpoint's tokenizer", {
        completes: "folder",
      }),
    )
    .addOption(
      option("--lora <file>", "for transformers and vLLM: write this LoRA adapter (GGUF) beside the model, as PEFT", {
        completes: "file",
      }),
    )
    .addOption(
      option("--python <path>", "for transformers and vLLM: Python to compare with (default: the one on the PATH)", {
        completes: "file",
      }),
    )
    .option("--no-parity", "do not compare the export with the model")
    .action(
      perform(async (invocation, options: ExportOptions, runtime: string, model: string, output: string) => {
        refuseOthers(runtime, options);
        const { document, facts } = await RUNTIMES[runtime]!.write(model, output, options, invocation);
        for (const warning of document.warnings) invocation.remark(`warning: ${warning}`);
        invocation.print(document, () => render(facts, document));
        return document.parity?.status === "failed" ? 1 : 0;
      }),
    );
  addExamples(command, [
    "pare export ollama lean/model.gguf lean-ollama",
    "pare export ollama model.gguf out --context 8192 --kv-cache q8_0",
    "pare export browser lean/model.gguf site",
    "pare export transformers model.gguf hf --python venv/bin/python",
    "pare export vllm q4_0.gguf hf-4bit --weights packed",
    "pare export docker model.gguf image",
    "pare export node model.gguf program",
  ]);
}

/** An option that another runtime has. */
function refuseOthers(runtime: string, options: ExportOptions): void {
  const known = new Set<string>([...RUNTIMES[runtime]!.options, "parity"]);
  const other = Object.keys(options).find((name) => !known.has(name));
  if (other === undefined) return;
  const flag = `--${other.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new UsageError(`${flag} means nothing to ${runtime}`, { hint: "Leave it out" });
}

async function writeOllama(model: string, output: string, options: ExportOptions, invocation: Invocation) {
  const { exportOllama } = await import("../export/ollama/export-ollama.js");
  const { context: contextLength, kvCache: cacheType, parity } = options;
  const document = await exportOllama({ model, output, contextLength, cacheType, parity }, invocation.runOptions);
  const { path, hasTemplate, conversationsCompared, stop } = document;
  const template = hasTemplate ? `the model's own text in ${conversationsCompared} conversations` : "left to Ollama";
  return {
    document,
    facts: [
      ["wrote", printable(path)],
      ["template", template],
      ["stop", stop.length > 0 ? printable(stop.join(" ")) : undefined],
    ] as const,
  };
}

async function writeBrowser(model: string, output: string, options: ExportOptions, invocation: Invocation) {
  const { exportBrowser } = await import("../export/browser/export-browser.js");
  const { formatBytes } = await import("../support/units.js");
  const { context: contextLength, chunkSize: chunkBytes, browser, parity } = options;
  const request = { model, output, contextLength, chunkBytes, browser, parity };
  const document = await exportBrowser(request, invocation.runOptions);
  const { path, files, sizeBytes, chunks } = document;
  return {
    document,
    facts: [
      ["wrote", printable(path)],
      ["files", `${files}, ${formatBytes(sizeBytes)}, the model in ${chunks} ${chunks === 1 ? "piece" : "pieces"}`],
    ] as const,
  };
}

async function writeTransformers(model: string, output: string, options: ExportOptions, invocation: Invocation) {
  const { exportTransformers } = await import("../export/transformers/export-transformers.js");
  const { formatBytes } = await import("../support/units.js");
  const { weights, tokenizer, lora: adapter, python, parity } = options;
  const request = { model, output, weights, tokenizer, adapter, python, parity };
  const document = await exportTransformers(request, invocation.runOptions);
  const matrices = Object.entries(document.matrices).map(([kind, count]) => `${count} ${kind}`);
  return {
    document,
    facts: [
      ["wrote", `${printable(document.path)}, ${formatBytes(document.sizeBytes)}`],
      ["class", document.architecture],
      ["matrices", matrices.join(", ")],
      ["tokenizer", document.tokenizer === null ? "restored from the model" : printable(`from ${document.tokenizer}`)],
    ] as const,
  };
}

async function writeDocker(model: string, output: string, options: ExportOptions, invocation: Invocation) {
  const { exportDocker } = await import("../export/docker/export-docker.js");
  const request = { model, output, contextLength: options.context };
  const document = await exportDocker(request, invocation.runOptions);
  return {
    document,
    facts: [
      ["wrote", printable(document.path)],
      ["model", document.name],
    ] as const,
  };
}

async function writeNode(model: string, output: string, _options: ExportOptions, invocation: Invocation) {
  const { exportNode } = await import("../export/node/export-node.js");
  const document = await exportNode({ model, output }, invocation.runOptions);
  return { document, facts: [["wrote", printable(document.path)]] as const };
}

function render(facts: Exported["facts"], { commands, parity }: Exported["document"]): string {
  const table = renderFacts([...facts, ["parity", parity && parityText(parity)]]);
  return `${table}\n\n${commands.map(printable).join("\n")}`;
}

function parityText({ status, detail, positions, same, nearTies, different }: Parity): string {
  if (status === "skipped") return `not compared: ${detail}`;
  const ties = nearTies > 0 ? `, ${nearTies} near ties` : "";
  const others = different > 0 ? `, ${different} different` : "";
  return `${status}: the same token at ${same} of ${positions} positions${ties}${others} (${detail})`;
}
