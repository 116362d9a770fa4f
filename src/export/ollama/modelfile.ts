// Ollama's Modelfile. https://github.com/ollama/ollama/blob/main/docs/modelfile.md
import { PareError } from "../../errors.js";

/** What a Modelfile says. */
export interface Modelfile {
  /** Path of the GGUF file, relative to the Modelfile. */
  readonly from: string;
  readonly template?: string | undefined;
  /** Names and values; `stop` may be there several times. */
  readonly parameters: readonly (readonly [name: string, value: string | number])[];
  readonly license?: string | undefined;
  /** Lines at the top. */
  readonly comments: readonly string[];
}

/** @throws {PareError} when a parameter's text can't stand in a Modelfile */
export function renderModelfile({ from, template, parameters, license, comments }: Modelfile): string {
  return `${[
    ...comments.map((line) => `# ${line}`),
    `FROM ${from}`,
    ...(template === undefined ? [] : [`TEMPLATE """${template}"""`]),
    ...parameters.map(([name, value]) => `PARAMETER ${name} ${typeof value === "string" ? quoted(value) : value}`),
    ...(license === undefined ? [] : [`LICENSE """${license.replaceAll(/"{3,}/g, '"')}"""`]),
  ].join("\n")}\n`;
}

/** A text with quotes stands between three of them, where it neither ends with one nor has three. */
function quoted(value: string): string {
  const text = value.replaceAll("\n", "\\n");
  if (!text.includes('"')) return `"${text}"`;
  if (text.endsWith('"') || text.includes('"""')) throw new PareError(`A Modelfile can't hold the text ${text}`);
  return `"""${text}"""`;
}
