// YAML files of tasks: read into plain values, with the line of what is wrong.
import { LineCounter, type ScalarTag, parseDocument } from "yaml";

import { FormatError } from "../../errors.js";

/** `!function module.name`, which lm-evaluation-harness runs and Pare does not. */
export interface FunctionTag {
  functionName: string;
}

const FUNCTION: ScalarTag = {
  tag: "!function",
  resolve: (text): FunctionTag => ({ functionName: text }),
};

/** @throws {FormatError} when the text is no YAML mapping */
export function parseYaml(text: string, path: string): Record<string, unknown> {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, customTags: [FUNCTION], maxAliasCount: 100 } as object);
  const [error] = document.errors;
  if (error) {
    const { line } = lineCounter.linePos(error.pos[0]);
    throw new FormatError(path, `Cannot read task "${path}": line ${line}: ${error.message.split("\n", 1)[0]}`);
  }
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new FormatError(path, `Cannot read task "${path}": it is no YAML mapping`, {
    hint: "Begin with lines such as: name: my-task",
  });
}

/** A task of lm-evaluation-harness says how a row becomes text with these keys. */
export function isHarnessTask(yaml: Record<string, unknown>): boolean {
  return "doc_to_text" in yaml || "dataset_path" in yaml || "doc_to_target" in yaml;
}
