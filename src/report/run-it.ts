// How to run the result: commands to paste, for the folder that this report lies in.
import { basename } from "node:path";

import type { Certificate } from "../fit/certificate.js";
import { shellQuote } from "../support/shell-quote.js";
import { type Html, html } from "./html.js";

/** Commands for Pare, llama.cpp and Ollama; nothing when there is no winner. */
export function runSection(
  certificate: Certificate,
  { hasChatTemplate, microBatchSize }: { hasChatTemplate?: boolean; microBatchSize?: number },
): Html | undefined {
  if (!certificate.winner) return undefined;
  const file = shellQuote(basename(certificate.winner.path));
  const context = certificate.device.contextLength;
  const batch = microBatchSize === undefined ? "" : ` -ub ${microBatchSize}`;
  const numBatch = microBatchSize === undefined ? "" : String.raw`\nPARAMETER num_batch ${microBatchSize}`;
  const name = ollamaName(certificate);
  const blocks: [title: string, note: string, command: string][] = [
    [
      "Pare",
      hasChatTemplate ? "A conversation in the terminal." : "The model has no chat template: it continues a text.",
      hasChatTemplate ? `pare chat ${file}` : `pare chat ${file} --prompt 'Once upon a time'`,
    ],
    [
      "llama.cpp",
      hasChatTemplate
        ? "In the terminal, or as an OpenAI-compatible server."
        : "Completion in the terminal, or as a server.",
      [
        hasChatTemplate
          ? `llama-cli -m ${file} -c ${context}${batch}`
          : `llama-completion -m ${file} -c ${context}${batch} -n 64 -p 'Once upon a time'`,
        `llama-server -m ${file} -c ${context}${batch} --port 8080`,
      ].join("\n"),
    ],
    [
      "Ollama",
      "Registers the file under a name, then runs it.",
      [
        `printf 'FROM ./%s\\nPARAMETER num_ctx ${context}${numBatch}\\n' ${file} > Modelfile`,
        `ollama create ${name} -f Modelfile`,
        `ollama run ${name}`,
      ].join("\n"),
    ],
  ];
  return html`<section id="run">
    <h2>Run it</h2>
    <p>
      In the folder of this report, which also holds <a href="recipe.yaml">recipe.yaml</a> and
      <a href="certificate.json">certificate.json</a>:
    </p>
    <div class="commands">
      ${blocks.map(
        ([title, note, command]) =>
          html`<div>
            <h3>${title}</h3>
            <p>${note}</p>
            ${commandBlock(command, title)}
          </div>`,
      )}
    </div>
  </section>`;
}

/** A command with a button that copies it. */
export function commandBlock(command: string, what: string): Html {
  return html`<div class="command">
    <pre tabindex="0"><code>${command}</code></pre>
    <button type="button" data-copy data-needs-script hidden aria-label="Copy the command: ${what}">Copy</button>
  </div>`;
}

/** A name that Ollama accepts: the model's, in lower case, or its candidate's. */
function ollamaName(certificate: Certificate): string {
  const { winner, baseline } = certificate;
  const name = (winner!.name ?? baseline.name ?? "model")
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "");
  return `${name || "model"}-lean`;
}
