// `pare inspect`: what is in a model file.
import type { Command } from "commander";

import type { Inspection } from "../model/inspect.js";
import { formatBytes, formatCount } from "../support/units.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument } from "./options.js";
import { printable, renderFacts, renderTable } from "./table.js";

export function describeInspect(program: Command): void {
  const command = program
    .command("inspect")
    .summary("show what is in a model file")
    .description("Shows what is in a model file: its shape, parameters, bits per weight, KV cache and every tensor.")
    .addArgument(argument("<model>", "GGUF file; of a split model any part", "file"))
    .option("--tensors", "list every tensor")
    .option("--metadata", "list every metadata key")
    .action(
      perform(async (invocation, options: InspectOptions, path: string) => {
        const { inspect } = await import("../model/inspect.js");
        const inspection = await inspect(path, { signal: invocation.signal });
        invocation.print(inspection, () => renderInspection(inspection, options));
      }),
    );
  addExamples(command, [
    "pare inspect model.gguf",
    "pare inspect model.gguf --tensors",
    "pare inspect model.gguf --json | jq .bitsPerWeight",
  ]);
}

interface InspectOptions {
  tensors?: boolean;
  metadata?: boolean;
}

function renderInspection(inspection: Inspection, options: InspectOptions): string {
  const sections = [renderFacts(facts(inspection)), renderTypes(inspection)];
  if (options.metadata)
    sections.push(
      renderFacts(Object.entries(inspection.metadata).map(([key, value]) => [printable(key), renderValue(value)])),
    );
  if (options.tensors) sections.push(renderTensors(inspection));
  else sections.push("--tensors lists every tensor, --metadata every metadata key");
  return sections.join("\n\n");
}

function facts(inspection: Inspection): [string, string | undefined][] {
  const { parametersTotal, parametersActive, experts, expertsUsed, slidingWindow } = inspection;
  const active = parametersActive === parametersTotal ? "" : `, ${formatCount(parametersActive)} active`;
  const cacheBytes = inspection.kvCacheBytesPerToken;
  return [
    ["model", inspection.name && printable(inspection.name)],
    ["architecture", printable(inspection.architecture)],
    ["parameters", `${formatCount(parametersTotal)}${active}`],
    ["size", `${formatBytes(inspection.sizeBytes)}, ${inspection.bitsPerWeight.toFixed(2)} bits per weight`],
    ["layers", `${inspection.layers} of width ${inspection.embeddingLength}`],
    ["heads", `${inspection.heads}, of them for keys and values ${inspection.kvHeads}`],
    ["experts", experts > 0 ? `${experts}, ${expertsUsed} used per token` : undefined],
    [
      "vocabulary",
      `${formatCount(inspection.vocabularySize)} tokens${inspection.tiedEmbeddings ? ", embedding tied to the output" : ""}`,
    ],
    [
      "context",
      `${formatCount(inspection.contextLength)} tokens${slidingWindow ? `, window of ${formatCount(slidingWindow)}` : ""}`,
    ],
    [
      "KV cache",
      `${formatBytes(cacheBytes)} per token, ${formatBytes(cacheBytes * inspection.contextLength)} for the whole context (f16)`,
    ],
    ["quantized by", inspection.quantizedBy && printable(inspection.quantizedBy)],
  ];
}

function renderTypes({ types, tensors }: Inspection): string {
  const rows = Object.entries(types).map(([type, count]) => {
    const sizeBytes = tensors
      .filter((tensor) => tensor.type === type)
      .reduce((sum, tensor) => sum + tensor.sizeBytes, 0);
    return [type, String(count), formatBytes(sizeBytes)];
  });
  return renderTable(rows, { header: ["type", "tensors", "size"], align: ["left", "right", "right"] });
}

function renderTensors({ tensors }: Inspection): string {
  const rows = tensors.map(({ name, shape, type, sizeBytes }) => [
    printable(name),
    shape.join(" × "),
    type,
    formatBytes(sizeBytes),
  ]);
  return renderTable(rows, { header: ["tensor", "shape", "type", "size"], align: ["left", "right", "left", "right"] });
}

function renderValue(value: Inspection["metadata"][string]): string {
  if (typeof value === "string") return printable(value.length > 100 ? `${value.slice(0, 99)}…` : value);
  if (Array.isArray(value)) return value.map(renderValue).join(", ");
  return typeof value === "object" ? `${formatCount(value.length)} × ${value.elementType}` : String(value);
}
