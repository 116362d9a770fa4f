// `pare fit`: the leanest model that fits the device and still does the task.
import type { Command } from "commander";

import type { Certificate } from "../fit/certificate.js";
import { formatBytes, formatCount, formatDuration } from "../support/units.js";
import { addExamples } from "./examples.js";
import type { FitOptions } from "./fit-request.js";
import { perform } from "./invocation.js";
import { JUDGE_PRICE } from "./judge-options.js";
import { argument, bytes, durationMs, number, oneOf, option, share, wholeNumber } from "./options.js";
import { printable, renderFacts, renderTable } from "./table.js";
import { SUITE_WORDS } from "./task-options.js";

const GOALS = ["size", "latency", "memory"] as const;
const CLAIMS = ["task", "population"] as const;

export function describeFit(program: Command): void {
  const command = program
    .command("fit")
    .summary("find the leanest model that still does the task")
    .description(
      "Finds the leanest model that fits a device and keeps the quality asked for, proves it on held-out cases or text, " +
        "and writes the model, its recipe, a certificate and a report. Run again, it goes on where it was interrupted.",
    )
    .addArgument(
      argument("[model...]", "GGUF files to start from, or base.gguf+adapter.gguf; the first is the baseline", "file"),
    )
    .addOption(
      option("--task <file>", "task: JSON Lines, CSV, Parquet, a YAML header or a folder", {
        completes: "file",
      }).conflicts("text"),
    )
    .addOption(option("--suite <name>", "built-in task, see pare suite", { completes: SUITE_WORDS }).conflicts("text"))
    .addOption(
      option("--text <file>", "text to keep the perplexity on, in place of a task; repeatable", {
        completes: "file",
        repeatable: true,
      }),
    )
    .addOption(option("--device <name|file>", "what it must run on: a name, a file, or this", { completes: "device" }))
    .addOption(option("--memory <size>", "memory for the model, in place of the device's", { parse: bytes }))
    .addOption(option("--keep <share>", "share of the quality to keep (default: 99%)", { parse: share }))
    .addOption(
      option("--claim <what>", "what is proven: task (its own cases, the default) or population (all like them)", {
        parse: oneOf(CLAIMS),
        completes: CLAIMS,
      }),
    )
    .addOption(
      option("--minimize <goal>", `what to minimize: ${GOALS.join(", ")} (default: size)`, {
        parse: oneOf(GOALS),
        completes: GOALS,
      }),
    )
    .addOption(option("--budget <time>", "time to spend, such as 90s (default: 10m)", { parse: seconds }))
    .addOption(option("--evaluations <count>", "measurements to buy at most", { parse: wholeNumber(8, 1e6) }))
    .addOption(option("--out <folder>", "folder for the results (default: pare-out)", { completes: "folder" }))
    .addOption(option("--context <tokens>", "context length to plan for", { parse: wholeNumber(8, 1 << 24) }))
    .addOption(option("--scorer <name>", "scorer of cases that name none"))
    .option("--explain", "say of every candidate why it won or lost")
    .option("--exclude-faulty", "leave out cases that contradict each other or exceed the context")
    .option("--allow-code", "run the code that answers or the task's own scorers are")
    .addOption(
      option("--candidate <name>", "try only this, such as q4_K_M; repeatable", {
        completes: "preset",
        repeatable: true,
      }),
    )
    .addOption(
      option(
        "--calibrate <file>",
        "text that shows what it is used for: mixes of any size, made for it, race, too; repeatable",
        {
          completes: "file",
          repeatable: true,
        },
      ),
    )
    .addOption(
      option("--size <size>", "try mixes of this size alone, such as 4.2bpw, 38MB or -30%; repeatable", {
        repeatable: true,
      }),
    )
    .option("--cascade", "find when a small model may answer for a large one: SMALL LARGE --task FILE")
    .addOption(option("--imatrix <file>", "importance file to use, in place of calibrating", { completes: "file" }))
    .addOption(
      option("--workload <tokens>", "a usual request, for what it costs: prompt+answer x at once, as 512+128x4"),
    )
    .addOption(option("--utilisation <share>", "share of the paid hours in which it works (default: 50%)"))
    .addOption(option("--grid <region>", "CO2 of the electricity: a region, or grams per kWh (default: world)"))
    .addOption(option("--endpoint <usd>", "a paid endpoint to compare with: USD per million tokens, as 0.15/0.60"))
    .addOption(option(...JUDGE_PRICE))
    .addOption(option("--cost-cap <dollars>", "what judges at endpoints may cost at most", { parse: number(0, 1e9) }))
    .addOption(option("--seed <number>", "seed of every random choice", { parse: wholeNumber(0, 2 ** 32 - 1) }))
    .addOption(option("--sign <file>", "private Ed25519 key, PEM, to sign the certificate with", { completes: "file" }))
    .addOption(option("--config <file>", "YAML file with the request; options go before it", { completes: "file" }))
    .addHelpText("after", "\nExit code: 0 ACCEPT, 3 REJECT, 4 INFEASIBLE, 5 NEED_MORE; 1 failure, 2 usage")
    .action(
      perform(async (invocation, { explain, ...options }: FitOptions & { explain?: boolean }, models: string[]) => {
        if (options.cascade) return (await import("./fit-cascade.js")).fitCascadeCommand(models, options, invocation);
        const { fitRequest } = await import("./fit-request.js");
        const request = await fitRequest(models, options, invocation);
        const { fit } = await import("../report/fit-with-report.js");
        const { EXIT_CODES } = await import("../fit/certificate.js");
        invocation.goesOn();
        const certificate = await fit(request, invocation.runOptions);
        invocation.print(certificate, () =>
          [renderCertificate(certificate, request.out), ...(explain ? [renderReasons(certificate)] : [])].join("\n\n"),
        );
        return EXIT_CODES[certificate.verdict];
      }),
    );
  addExamples(command, [
    "pare fit model-f16.gguf --text heldout.txt --device laptop-8gb --keep 98% --minimize size --budget 10m --out lean",
    "pare fit model-f16.gguf --task cases.jsonl --calibrate my-texts.txt --keep 98% --out lean",
    "pare fit a.gguf b.gguf --task cases.jsonl --device this --keep 99% --minimize latency --out lean",
    "pare fit --config pare.yaml --seed 7",
    "pare fit small.gguf large.gguf --cascade --task cases.jsonl --keep 99% --out lean",
  ]);
}

function seconds(text: string): number {
  return durationMs(text) / 1000;
}

function renderCertificate(certificate: Certificate, out: string): string {
  const { verdict, reason, winner, notes, budget, nearestFeasibleBytes, casesNeeded } = certificate;
  const sections = [`${verdictText(verdict, casesNeeded)}: ${reason}`];
  sections.push(renderModels(certificate));
  sections.push(
    renderFacts([
      ["nearest feasible", nearestFeasibleBytes === undefined ? undefined : formatBytes(nearestFeasibleBytes)],
      ["evidence needed", casesNeeded && `${formatCount(casesNeeded.count)} ${casesNeeded.unit} in all`],
      [
        "trials",
        `${certificate.trials.length}, ${budget.evaluationsUsed} measurements in ${formatDuration(budget.secondsUsed * 1000)}`,
      ],
      ["seed", String(certificate.seed)],
      ["results", out],
      ["run it", winner ? `pare chat ${winner.path}` : undefined],
    ]),
  );
  if (notes.length > 0) sections.push(notes.map((note) => `note: ${printable(note)}`).join("\n"));
  return sections.join("\n\n");
}

/** Every candidate with the reason why it stands where it stands; what was measured best comes first. */
function renderReasons({ trials }: Certificate): string {
  const stages = ["confirmed", "selected", "screened", "predicted"];
  const rows = [...trials]
    .sort((a, b) => stages.indexOf(a.stage) - stages.indexOf(b.stage))
    .map(({ candidate, sizeBytes, stage, verdict, reason }) => [
      printable(candidate),
      formatBytes(sizeBytes),
      stage,
      verdict,
      printable(reason),
    ]);
  const header = ["candidate", "size", "evidence", "standing", "why"];
  return renderTable(rows, { header, align: ["left", "right", "left", "left", "left"] });
}

/** `NEED 214 MORE` where it is known how many. */
function verdictText(verdict: Certificate["verdict"], casesNeeded: Certificate["casesNeeded"]): string {
  return casesNeeded?.more === undefined ? verdict : `NEED ${formatCount(casesNeeded.more)} MORE`;
}

function renderModels({ baseline, winner }: Certificate): string {
  const row = (role: string, model: NonNullable<typeof winner> | typeof baseline): string[] => [
    role,
    "candidate" in model ? model.candidate : printable(model.name ?? model.path),
    formatBytes(model.sizeBytes),
    model.bitsPerWeight.toFixed(2),
    formatBytes(model.memoryBytes),
    model.decodeTokensPerSecond === null ? "" : model.decodeTokensPerSecond.toFixed(1),
    model.quality ? renderKept(model.quality.kept) : "",
  ];
  const rows = [row("baseline", baseline), ...(winner ? [row("winner", winner)] : [])];
  const header = ["", "model", "size", "bits/weight", "memory", "tokens/s", "quality kept"];
  return renderTable(rows, { header, align: ["left", "left", "right", "right", "right", "right", "left"] });
}

function renderKept({ mean, low, high }: { mean: number; low: number; high: number }): string {
  const percent = (value: number): string => `${(100 * value).toFixed(2)}%`;
  return `${percent(mean)} (${percent(low)} to ${percent(high)})`;
}
