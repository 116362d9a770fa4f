// A certificate as a page: one HTML file that holds everything it shows and loads nothing. The verdict comes first, the
// evidence after it. Drawn here, without a browser; the script only adds what paper can't do.
import { createHash } from "node:crypto";

import type { Certificate } from "../fit/certificate.js";
import { comparisonSection } from "./comparison.js";
import { costsSection } from "./costs.js";
import { evidenceSection } from "./evidence.js";
import { frontSection } from "./front.js";
import { html, trusted } from "./html.js";
import { layersSection } from "./layers.js";
import { type Regressions, regressionsSection } from "./regressions.js";
import { runSection } from "./run-it.js";
import { SCRIPT } from "./script.js";
import { slicesSection } from "./slices.js";
import { STYLE } from "./style.js";
import { trialsSection } from "./trials.js";
import { verdictSection } from "./verdict.js";

/** What a report says beyond its certificate. */
export interface ReportDetail {
  /** The command that made the certificate, ready to paste into a shell. */
  command: string;
  /** The winner's recipe, as YAML. */
  recipe?: string;
  /** True when the model holds a chat template; its commands then chat, otherwise they continue a text. */
  hasChatTemplate?: boolean;
  /** The cases on which the winner, or the candidate that came closest, lost most. */
  regressions?: Regressions;
  /** Tokens computed at once, where the winner only fits with fewer than the programs' default. */
  microBatchSize?: number;
}

/**
 * Renders a certificate as one self-contained HTML file.
 *
 * The page loads nothing and runs no script but its own: a content security policy with the script's hash forbids the
 * rest. Every text of the certificate is escaped.
 *
 * @example
 * await writeFileAtomic("report.html", renderReport(certificate, { command: "pare fit model.gguf --text story.txt" }));
 */
export function renderReport(certificate: Certificate, detail: ReportDetail): string {
  const { winner, baseline, verdict, versions } = certificate;
  const scriptHash = createHash("sha256").update(SCRIPT).digest("base64");
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${scriptHash}'; base-uri 'none'; form-action 'none'`;
  const style = trusted(`<style>${STYLE}</style>`);
  const script = trusted(`<script>${SCRIPT}</script>`); // exactly the bytes that were hashed
  const slices = slicesSection(certificate);
  const costs = costsSection(certificate);
  const regressions = regressionsSection(detail.regressions);
  const links: [string, string][] = [
    ["front", "Front"],
    ...(winner ? ([["comparison", "Before and after"]] as [string, string][]) : []),
    ...(costs ? ([["costs", "Costs"]] as [string, string][]) : []),
    ...(slices ? ([["slices", "Slices"]] as [string, string][]) : []),
    ...(regressions ? ([["regressions", "Regressions"]] as [string, string][]) : []),
    ["trials", "Trials"],
    ...(winner && winner.tensors.length > 0 ? ([["layers", "Layers"]] as [string, string][]) : []),
    ...(winner ? ([["run", "Run it"]] as [string, string][]) : []),
    ["evidence", "Evidence"],
  ];
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="referrer" content="no-referrer" />
        <title>${verdict}: ${baseline.name ?? baseline.path} for ${certificate.device.name}</title>
        ${style}
      </head>
      <body>
        <a class="skip" href="#main">To the verdict</a>
        <div class="top">
          <strong>Pare</strong> <span>${baseline.name ?? baseline.path}, ${certificate.finishedAt.slice(0, 10)}</span>
          <nav aria-label="Sections">${links.map(([id, text]) => html`<a href="#${id}">${text}</a>`)}</nav>
          <button type="button" id="theme" data-needs-script hidden>Dark</button>
        </div>
        <main id="main">
          ${verdictSection(certificate)} ${frontSection(certificate)} ${comparisonSection(certificate)} ${costs}
          ${slices} ${regressions} ${trialsSection(certificate)} ${layersSection(certificate)}
          ${runSection(certificate, detail)} ${evidenceSection(certificate, detail.command, detail.recipe)}
        </main>
        <footer>
          Made by Pare ${versions.pare}. This file holds all that it shows and loads nothing; the numbers are those of
          certificate.json beside it.
        </footer>
        ${script}
      </body>
    </html>`;
  return `${page.text}\n`;
}
