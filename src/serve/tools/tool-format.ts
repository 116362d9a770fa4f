// How models write tool calls. Each family was trained on a form of its own, which its chat template shows; the form decides what
// is asked for where a call is demanded, and what is looked for in an answer.
import type { Schema } from "../grammar/merge-schemas.js";

/** A function that a model may call, in OpenAI's form. */
export interface ToolDefinition {
  type: "function";
  function: { name: string; description?: string | undefined; parameters?: Schema | undefined };
}

/** A call that a model has made. */
export interface ToolCall {
  name: string;
  arguments: Record<string, unknown>;
}

/** One family's form. */
export interface ToolFormat {
  name: "hermes" | "mistral" | "llama" | "list";
  /** Texts with which calls begin. */
  begins: readonly string[];
  /** True where only an answer's first words can begin a call. */
  onlyAtStart: boolean;
  /** What stands before and behind the call's JSON. */
  wrap: readonly [before: string, behind: string];
  /** The call's key for what the function is given. */
  argumentsKey: "arguments" | "parameters";
}

const HERMES: ToolFormat = {
  name: "hermes",
  begins: ["<tool_call>"],
  onlyAtStart: false,
  wrap: ["<tool_call>\n", "\n</tool_call>"],
  argumentsKey: "arguments",
};
const MISTRAL: ToolFormat = {
  name: "mistral",
  begins: ["[TOOL_CALLS]"],
  onlyAtStart: false,
  wrap: ["[TOOL_CALLS][", "]"],
  argumentsKey: "arguments",
};
const LLAMA: ToolFormat = {
  name: "llama",
  begins: ["<|python_tag|>", '{"name"', '{"type"', '{ "name"'],
  onlyAtStart: true,
  wrap: ["", ""],
  argumentsKey: "parameters",
};
const LIST: ToolFormat = {
  name: "list",
  begins: ["<|tool_call|>", "<tool_call>", "functools["],
  onlyAtStart: false,
  wrap: ["<|tool_call|>[", "]"],
  argumentsKey: "arguments",
};

/** The form that a template's model was trained on; Hermes' for those that show none. */
export function toolFormatOf(template: string | undefined): ToolFormat {
  if (template === undefined) return HERMES;
  if (template.includes("[TOOL_CALLS]")) return MISTRAL;
  if (template.includes("<|tool_call|>") || template.includes("functools")) return LIST;
  if (template.includes("<tool_call>")) return HERMES;
  if (template.includes("<|python_tag|>") || template.includes('"parameters"')) return LLAMA;
  return HERMES;
}

/** Whether a template says anything of tools. */
export function templateKnowsTools(template: string | undefined): boolean {
  return /\btools\b/.test(template ?? "");
}

/** For models whose template knows no tools: what their template would have said. */
export function toolInstructions(tools: readonly ToolDefinition[]): string {
  return [
    "You may call functions to answer. These are there, as JSON:",
    ...tools.map(({ function: described }) => JSON.stringify(described)),
    'To call one, write <tool_call>{"name": "...", "arguments": {...}}</tool_call> and nothing else.',
  ].join("\n");
}
