// The top of the report, for the reader who reads nothing else: the verdict, what was gained, and how sure it is.
import type { Certificate, Estimate, TrialRecord } from "../fit/certificate.js";
import { formatBytes } from "../support/units.js";
import { type Html, html } from "./html.js";
import { counted, grouped, percent, percentDecimals, percentRange, rate, times } from "./numbers.js";

const VERDICT_WORDS = {
  ACCEPT: "Accepted",
  REJECT: "Rejected",
  INFEASIBLE: "Infeasible",
  NEED_MORE: "Undecided",
} as const;

interface Figure {
  what: string;
  value: string;
  beside: string;
}

export function verdictSection(certificate: Certificate): Html {
  const { verdict, device, bar } = certificate;
  const best = leading(certificate);
  return html`<header class="verdict v-${verdict.toLowerCase()}">
    <p class="stamp"><strong>${VERDICT_WORDS[verdict]}</strong> <code>${verdict}</code></p>
    <h1>${headline(certificate)}</h1>
    <p class="reason">${certificate.reason}.</p>
    <dl class="figures">
      ${figures(certificate).map(
        ({ what, value, beside }) =>
          html`<div>
            <dt>${what}</dt>
            <dd>${value}<small>${beside}</small></dd>
          </div>`,
      )}
    </dl>
    ${best && intervalStrip(best.label, best.kept, bar.keep)}
    <p class="terms">
      For <strong>${device.name}</strong>: at most ${formatBytes(device.memoryBytes)} of memory at
      ${grouped(device.contextLength)} tokens of
      context${device.storageBytes !== undefined && `, ${formatBytes(device.storageBytes)} of storage`}. The bar: keep
      ${percent(bar.keep, Number.isInteger(bar.keep * 100) ? 0 : 1)} of the baseline’s quality with
      ${percent(bar.confidence, 0)} confidence; then the smallest ${certificate.minimize} wins.
    </p>
  </header>`;
}

function headline(certificate: Certificate): string {
  const { verdict, baseline, winner, bar, device } = certificate;
  const barText = percent(bar.keep, Number.isInteger(bar.keep * 100) ? 0 : 1);
  if (verdict === "ACCEPT" && winner) {
    const kept = winner.quality?.kept;
    const clauses = [gain(baseline.sizeBytes / winner.sizeBytes, "smaller", "the same size")];
    const [before, after] = [baseline.decodeTokensPerSecond, winner.decodeTokensPerSecond];
    if (before && after) clauses.push(pace(after / before));
    if (kept) clauses.push(`${percent(kept.mean, percentDecimals(kept))} of the quality kept`);
    return sentence(clauses);
  }
  if (verdict === "INFEASIBLE") {
    const nearest = certificate.nearestFeasibleBytes;
    return nearest === undefined
      ? `Nothing fits ${formatBytes(device.memoryBytes)}`
      : `Nothing fits ${formatBytes(device.memoryBytes)}; something fits from ${formatBytes(nearest)}`;
  }
  if (verdict === "NEED_MORE" && certificate.casesNeeded) {
    const { count, unit, more } = certificate.casesNeeded;
    return more === undefined
      ? `Too little evidence to decide: about ${counted(count, unit)} would settle it`
      : `Too little evidence to decide: about ${grouped(more)} more ${unit} would settle it`;
  }
  return verdict === "REJECT" ? `Nothing that fits keeps ${barText} of the quality` : "Too little evidence to decide";
}

/** `3.5 times smaller`, or in words where the factor is 1. */
function gain(factor: number, comparison: string, same: string): string {
  return Math.abs(factor - 1) < 0.05 ? same : `${times(factor, 1)} times ${comparison}`;
}

/** Small types can cost speed; a loss is called one. */
function pace(factor: number): string {
  return factor < 0.95 ? `${percent(1 - factor, 0)} slower` : gain(factor, "as fast", "as fast");
}

function sentence(clauses: string[]): string {
  const text = clauses.join(", ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function figures(certificate: Certificate): Figure[] {
  const { baseline, winner, device } = certificate;
  if (winner) return winnerFigures(certificate, winner);
  const best = leading(certificate);
  const smallest = [...certificate.trials].sort((a, b) => a.memoryBytes - b.memoryBytes)[0];
  return [
    { what: "Limit", value: formatBytes(device.memoryBytes), beside: `of memory on ${device.name}` },
    { what: "Baseline", value: formatBytes(baseline.memoryBytes), beside: "in memory" },
    ...(smallest
      ? [{ what: "Smallest candidate", value: formatBytes(smallest.memoryBytes), beside: smallest.candidate }]
      : []),
    ...(best
      ? [
          {
            what: certificate.verdict === "NEED_MORE" ? "Most promising" : "Best that fits",
            value: percent(best.kept.mean, percentDecimals(best.kept)),
            beside: `of the quality, ${best.label} (${percentRange(best.kept)})`,
          },
        ]
      : []),
  ];
}

function winnerFigures(certificate: Certificate, winner: NonNullable<Certificate["winner"]>): Figure[] {
  const { baseline } = certificate;
  const kept = winner.quality?.kept;
  const [before, after] = [baseline.decodeTokensPerSecond, winner.decodeTokensPerSecond];
  const source = certificate.trials.find((trial) => trial.verdict === "winner")?.speed?.source;
  return [
    ...(kept
      ? [
          {
            what: "Quality kept",
            value: percent(kept.mean, percentDecimals(kept)),
            beside: `${percentRange(kept)} with 95\u202f% confidence`,
          },
        ]
      : []),
    {
      what: "File size",
      value: formatBytes(winner.sizeBytes),
      beside: `from ${formatBytes(baseline.sizeBytes)}, ÷\u202f${times(baseline.sizeBytes, winner.sizeBytes)}`,
    },
    {
      what: "Memory",
      value: formatBytes(winner.memoryBytes),
      beside: `from ${formatBytes(baseline.memoryBytes)}, ÷\u202f${times(baseline.memoryBytes, winner.memoryBytes)}`,
    },
    ...(after
      ? [
          {
            what: source === "predicted" ? "Decode speed, predicted" : "Decode speed",
            value: `${rate(after)} tokens/s`,
            beside: before ? `from ${rate(before)}, ×\u202f${times(after, before)}` : "the baseline’s is unknown",
          },
        ]
      : []),
  ];
}

/** Whose interval the strip shows: the winner's, or that of the best candidate that fits. */
function leading(certificate: Certificate): { label: string; kept: Estimate } | undefined {
  const { winner } = certificate;
  if (winner?.quality) return { label: winner.candidate, kept: winner.quality.kept };
  const measured = certificate.trials.filter(
    (trial): trial is TrialRecord & { quality: NonNullable<TrialRecord["quality"]> } =>
      trial.fits && trial.quality !== undefined,
  );
  if (certificate.verdict === "NEED_MORE") {
    // The question is open for the leanest one that looks good enough.
    const promising = measured.filter(
      (trial) => trial.verdict === "undecided" && trial.quality.kept.mean >= certificate.bar.keep,
    );
    const leanest = [...promising].sort((a, b) => a.sizeBytes - b.sizeBytes)[0];
    if (leanest) return { label: leanest.candidate, kept: leanest.quality.kept };
  }
  const best = [...measured].sort((a, b) => b.quality.kept.mean - a.quality.kept.mean)[0];
  return best && { label: best.candidate, kept: best.quality.kept };
}

/** The interval beside the bar on one line: what the verdict rests on, at a glance. */
function intervalStrip(label: string, kept: Estimate, keep: number): Html {
  const low = Math.max(0, Math.min(kept.low, keep, 1) - 0.25 * spread(kept, keep));
  const high = Math.max(kept.high, keep, 1) + 0.1 * spread(kept, keep);
  const place = (share: number) => `${(((share - low) / (high - low)) * 100).toFixed(2)}%`;
  const barText = `bar ${percent(keep, Number.isInteger(keep * 100) ? 0 : 1)}`;
  return html`<div
    class="strip"
    role="img"
    aria-label="${label} keeps ${percentRange(kept)} of the quality; the ${barText}; the baseline is 100 %"
  >
    <i class="strip-line"></i>
    <i class="strip-interval" style="left:${place(kept.low)};right:calc(100% - ${place(kept.high)})"></i>
    <i class="strip-mean" style="left:${place(kept.mean)}"></i>
    <b class="strip-tick strip-bar" style="left:${place(keep)}"><span>${barText}</span></b>
    <b class="strip-tick" style="left:${place(1)}"><span>baseline</span></b>
  </div>`;
}

function spread(kept: Estimate, keep: number): number {
  return Math.max(kept.high, keep, 1) - Math.min(kept.low, keep, 1) || 0.01;
}
