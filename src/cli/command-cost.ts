// `pare cost`: what a model costs to run.
import type { Command } from "commander";

import type { Band } from "../cost/band.js";
import type { Cost } from "../cost/cost.js";
import type { CostResult } from "../fit/estimate-cost.js";
import { formatBytes, formatCount, formatDuration } from "../support/units.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument, number, option, share, wholeNumber } from "./options.js";
import { printable, renderFacts } from "./table.js";

interface CostFlags {
  device?: string[];
  workload?: string;
  utilisation?: number;
  context?: number;
  grid?: string;
  endpoint?: string;
  watts?: number;
  pricePerHour?: number;
  pricePerKwh?: number;
}

export function describeCost(program: Command): void {
  const command = program
    .command("cost")
    .summary("what a model costs to run: memory, time, energy, CO2, money")
    .description(
      "Measures a model on this machine, or predicts it for a device with the range to expect: memory, speed, latency under " +
        "concurrency, energy, CO2, money, and from how many requests on it beats a paid endpoint.",
    )
    .addArgument(argument("<model>", "GGUF file", "file"))
    .addOption(
      option("--device <name|file>", "where it runs: a name, a file, or this (the default); repeatable", {
        completes: "device",
        repeatable: true,
      }),
    )
    .addOption(option("--workload <tokens>", "a usual request: prompt+answer, x answers at once (default: 512+128x1)"))
    .addOption(
      option("--utilisation <share>", "share of the paid hours in which it works (default: 50%)", { parse: share }),
    )
    .addOption(
      option("--context <tokens>", "context length to plan memory for (default: prompt and answer)", {
        parse: wholeNumber(1, 1 << 24),
      }),
    )
    .addOption(option("--grid <region>", "CO2 of the electricity: a region, or grams per kWh (default: world)"))
    .addOption(option("--watts <watts>", "power under load, in place of the device's", { parse: number(0.01, 1e6) }))
    .addOption(
      option("--price-per-hour <usd>", "rent of the machine, in place of the device's", { parse: number(0, 1e6) }),
    )
    .addOption(
      option("--price-per-kwh <usd>", "price of electricity, for a machine of one's own", { parse: number(0, 100) }),
    )
    .addOption(
      option(
        "--endpoint <usd>",
        "a paid endpoint to compare with: USD per million tokens of prompt/answer, as 0.15/0.60",
      ),
    )
    .action(
      perform(async (invocation, flags: CostFlags, model: string) => {
        const { cost } = await import("../fit/estimate-cost.js");
        const { device, context, pricePerKwh, ...rest } = flags;
        const result = await cost(
          {
            model,
            devices: device,
            contextLength: context,
            pricePerKilowattHour: pricePerKwh,
            threads: invocation.threads,
            ...rest,
          },
          invocation.runOptions,
        );
        invocation.print(result, () => renderCosts(result));
      }),
    );
  addExamples(command, [
    "pare cost model.gguf",
    "pare cost model.gguf --device this --device raspberry-pi-5 --workload 512+128x4",
    "pare cost model.gguf --device cloud-vm --endpoint 0.15/0.60 --grid germany --utilisation 30%",
  ]);
}

function renderCosts({ costs }: CostResult): string {
  return costs.map(renderCost).join("\n\n");
}

function renderCost(cost: CostResult["costs"][number]): string {
  const { device, source, memory, energy, carbon, money, breakEven, workload } = cost;
  const title = `${printable(device)}, ${source}: ${workload.promptTokens} tokens of prompt, ${workload.answerTokens} of answer`;
  const facts = renderFacts([
    ["file", formatBytes(cost.fileBytes)],
    [
      "memory",
      `${formatBytes(memory.totalBytes)}: weights ${formatBytes(memory.weightsBytes)}, cache ${formatBytes(memory.kvCacheBytes)}, buffers ${formatBytes(memory.computeBytes)}`,
    ],
    [
      "resident",
      memory.residentBytes === undefined ? undefined : `${formatBytes(memory.residentBytes)}, the whole process`,
    ],
    ["cache per token", `${formatBytes(memory.kvBytesPerToken)}; attention: ${memory.attention}`],
    ["does not fit", cost.misfit],
    [
      "prefill",
      cost.prefillTokensPerSecond
        ? `${band(cost.prefillTokensPerSecond, rate)} tokens/s`
        : "unknown: the device states no arithmetic rate",
    ],
    [
      "decode",
      cost.decodeTokensPerSecond
        ? `${band(cost.decodeTokensPerSecond, rate)} tokens/s`
        : "unknown: the device states no bandwidth",
    ],
    ["first token", cost.firstTokenSeconds ? band(cost.firstTokenSeconds, duration) : undefined],
    ["whole request", cost.requestSeconds ? band(cost.requestSeconds, duration) : undefined],
    ...(cost.load ?? []).map((load): [string, string] => [
      `${load.concurrency} at once`,
      `first token p50 ${duration(load.firstTokenSeconds.p50)}, p95 ${duration(load.firstTokenSeconds.p95)}; token p50 ${duration(load.tokenSeconds.p50)}, p95 ${duration(load.tokenSeconds.p95)}, p99 ${duration(load.tokenSeconds.p99)}; ${rate(load.answerTokensPerSecond)} tokens/s in all`,
    ]),
    ["energy", energyText(energy)],
    [
      "CO2",
      carbon
        ? `${band(carbon.gramsPerThousandRequests, digits)} g per 1,000 requests (${carbon.gramsPerKilowattHour} g/kWh, ${carbon.region})`
        : undefined,
    ],
    [
      "money",
      money
        ? `$${band(money.perThousandRequests, digits)} per 1,000 requests, $${band(money.perMillionTokens, digits)} per million tokens (${money.source} $${digits(money.perHour)}/h, ${100 * money.utilisation}% used)`
        : "unknown: give --price-per-hour, or --watts and --price-per-kwh",
    ],
    ["break-even", breakEvenText(breakEven)],
  ]);
  return `${title}\n${facts}`;
}

function energyText(energy: Cost["energy"]): string {
  if (!energy) return "unknown: no meter may be read here, and no watts are known (--watts)";
  const { prefillJoulesPerToken, decodeJoulesPerToken, source } = energy;
  const label = source === "device watts" ? "estimate from device watts" : `measured by ${source}`;
  const each = (joules: Band | null): string => (joules ? `${band(joules, digits)} J` : "unknown");
  return `prefill ${each(prefillJoulesPerToken)} per token, decode ${each(decodeJoulesPerToken)} (${label})`;
}

function breakEvenText(breakEven: Cost["breakEven"]): string | undefined {
  if (!breakEven) return undefined;
  const { requestsPerMonth, isReachable, capacityPerMonth, endpointPerThousandRequests } = breakEven;
  const own = `endpoint $${digits(endpointPerThousandRequests)} per 1,000 requests`;
  return isReachable
    ? `from ${formatCount(requestsPerMonth)} requests a month on, of ${formatCount(capacityPerMonth.value)} it can answer (${own})`
    : `never: ${formatCount(requestsPerMonth)} requests a month are needed, it can answer ${formatCount(capacityPerMonth.value)} (${own})`;
}

function band({ value, low, high }: Band, write: (value: number) => string): string {
  return low === high ? write(value) : `${write(value)} (${write(low)} to ${write(high)})`;
}

function rate(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

function duration(seconds: number): string {
  return seconds < 0.1 ? `${digits(seconds * 1000)} ms` : formatDuration(seconds * 1000);
}

function digits(value: number): string {
  return value >= 100 ? formatCount(value) : String(Number(value.toPrecision(3)));
}
