// Ollama's Modelfile. https://github.com/ollama/ollama/blob/main/docs/modelfile.md

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

export function renderModelfile({ from, template, parameters, license, comments }: Modelfile): string {
  return `${[
    ...comments.map((line) => `# ${line}`),
    `FROM ${from}`,
    ...(template === undefined ? [] : [`TEMPLATE """${template}"""`]),
    ...parameters.map(([name, value]) => `PARAMETER ${name} ${typeof value === "string" ? quoted(value) : value}`),
    ...(license === undefined ? [] : [`LICENSE """${license}"""`]),
  ].join("\n")}\n`;
}

function quoted(value: string): string {
  return `"${value.replaceAll("\n", "\\n")}"`;
}
