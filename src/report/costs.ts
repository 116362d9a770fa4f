// What it costs: memory, speed, latency, energy, CO2 and money of baseline and winner, each number with where it comes from.
import { type Band, scaled } from "../cost/band.js";
import type { Cost } from "../cost/cost.js";
import type { Percentiles } from "../cost/percentiles.js";
import type { Certificate } from "../fit/certificate.js";
import { formatBytes } from "../support/units.js";
import { type Content, type Html, html } from "./html.js";
import { NONE, grouped, percent, rate, significant } from "./numbers.js";

type Row = [what: string, cell: (cost: Cost) => Content];

/** The table of costs; nothing for certificates without them. */
export function costsSection({ baseline, winner, trials }: Certificate): Html | undefined {
  const columns: [title: string, cost: Cost][] = [];
  if (baseline.cost) columns.push(["Baseline", baseline.cost]);
  if (winner?.cost && trials.find(({ verdict }) => verdict === "winner")?.candidate !== "original") {
    columns.push([`Winner: ${winner.candidate}`, winner.cost]);
  }
  if (columns.length === 0) return undefined;
  const rows = rowsOf(columns[0]![1]).filter(([, cell]) => columns.some(([, cost]) => cell(cost) !== NONE));
  const { workload, contextLength, device } = columns[0]![1];
  return html`<section id="costs">
    <h2>What it costs</h2>
    <p>
      One request: ${grouped(workload.promptTokens)} tokens of prompt, ${grouped(workload.answerTokens)} of
      answer${workload.concurrency > 1 && `, ${workload.concurrency} at once`}, on ${device}, with
      ${grouped(contextLength)} tokens of context. A range is what to expect of a prediction.
    </p>
    <div class="scroll" tabindex="0" role="region" aria-label="Costs of baseline and winner">
      <table class="comparison">
        <thead>
          <tr>
            <td></td>
            ${columns.map(([title]) => html`<th scope="col">${title}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            ([what, cell]) =>
              html`<tr>
                <th scope="row">${what}</th>
                ${columns.map(([, cost]) => html`<td>${cell(cost)}</td>`)}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
  </section>`;
}

function rowsOf({ load = [] }: Cost): Row[] {
  return [
    ["Memory", ({ memory }) => memoryCell(memory)],
    ["Process in memory", ({ memory }) => (memory.residentBytes ? measured(formatBytes(memory.residentBytes)) : NONE)],
    [
      "Attention",
      ({ memory }) => html`${memory.attention}<small>${formatBytes(memory.kvBytesPerToken)} a token</small>`,
    ],
    ["Prefill, tokens/s", (cost) => band(cost.prefillTokensPerSecond, rate, cost.source)],
    ["Decode, tokens/s", (cost) => band(cost.decodeTokensPerSecond, rate, cost.source)],
    ...(load.length > 0
      ? []
      : ([["First token", (cost) => band(cost.firstTokenSeconds, duration, cost.source)]] satisfies Row[])),
    ...load.flatMap(({ concurrency }): Row[] => [
      [`First token, ${concurrency} at once`, (cost) => waits(loadAt(cost, concurrency)?.firstTokenSeconds)],
      [`Between tokens, ${concurrency} at once`, (cost) => waits(loadAt(cost, concurrency)?.tokenSeconds)],
    ]),
    ["Energy, a prompt token", ({ energy }) => joules(energy, "prefillJoulesPerToken")],
    ["Energy, an answer token", ({ energy }) => joules(energy, "decodeJoulesPerToken")],
    [
      "CO₂, 1\u202f000 requests",
      ({ carbon }) =>
        carbon
          ? html`${range(carbon.gramsPerThousandRequests, significant)} g<small
                >${carbon.gramsPerKilowattHour} g/kWh, ${carbon.region}</small
              >`
          : NONE,
    ],
    [
      "Money, 1\u202f000 requests",
      ({ money }) =>
        money
          ? html`$${range(money.perThousandRequests, significant)}<small
                >${money.source} $${significant(money.perHour)} an hour, ${percent(money.utilisation, 0)} in use</small
              >`
          : NONE,
    ],
    ["Money, a million tokens", ({ money }) => (money ? html`$${range(money.perMillionTokens, significant)}` : NONE)],
    ["Break-even", ({ breakEven }) => breakEvenCell(breakEven)],
  ];
}

function memoryCell({ totalBytes, weightsBytes, kvCacheBytes, computeBytes }: Cost["memory"]): Html {
  return html`${formatBytes(totalBytes)}<small
      >weights ${formatBytes(weightsBytes)}, cache ${formatBytes(kvCacheBytes)}, buffers
      ${formatBytes(computeBytes)}</small
    >`;
}

function joules(energy: Cost["energy"], which: "prefillJoulesPerToken" | "decodeJoulesPerToken"): Content {
  const value = energy?.[which];
  if (!energy || !value) return NONE;
  const label = energy.source === "device watts" ? "estimate from device watts" : `measured, ${energy.source}`;
  const isSmall = value.value < 0.1;
  return html`${range(isSmall ? scaled(value, 1000) : value, significant)} ${isSmall ? "mJ" : "J"}<small
      >${label}</small
    >`;
}

function breakEvenCell(breakEven: Cost["breakEven"]): Content {
  if (!breakEven) return NONE;
  const { requestsPerMonth, isReachable, capacityPerMonth, endpointPerThousandRequests } = breakEven;
  const beside = `the endpoint: $${significant(endpointPerThousandRequests)} for 1\u202f000 requests`;
  return isReachable
    ? html`from ${grouped(requestsPerMonth)} requests a month<small>${beside}</small>`
    : html`never: one machine answers ${grouped(capacityPerMonth.value)} a month<small>${beside}</small>`;
}

function loadAt({ load }: Cost, concurrency: number) {
  return load?.find((one) => one.concurrency === concurrency);
}

function waits(seconds: Percentiles | undefined): Content {
  if (!seconds) return NONE;
  return html`${duration(seconds.p50)}<small
      >95th percentile ${duration(seconds.p95)}, 99th ${duration(seconds.p99)}</small
    >`;
}

function band(value: Band | null, write: (value: number) => string, source: Cost["source"]): Content {
  if (!value) return NONE;
  if (value.low === value.high) return html`${write(value.value)}<small>${source}</small>`;
  return html`${write(value.value)}<small>${source}, ${write(value.low)} to ${write(value.high)}</small>`;
}

function range({ value, low, high }: Band, write: (value: number) => string): string {
  return low === high ? write(value) : `${write(value)} (${write(low)} to ${write(high)})`;
}

function measured(text: string): Html {
  return html`${text}<small>measured</small>`;
}

function duration(seconds: number): string {
  return seconds < 1 ? `${significant(seconds * 1000)} ms` : `${significant(seconds)} s`;
}
