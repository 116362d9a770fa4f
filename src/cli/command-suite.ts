// `pare suite`: the tasks that Pare makes itself, to list, to read and to build on.
import { Argument, type Command } from "commander";

import { UsageError } from "../errors.js";
import { formatCount } from "../support/units.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { option, wholeNumber } from "./options.js";
import { renderTable } from "./table.js";
import { SUITE_WORDS } from "./task-options.js";

interface SuiteOptions {
  seed?: number;
  cases?: number;
  plain?: boolean;
  out?: string;
}

export function describeSuite(program: Command): void {
  const command = program
    .command("suite")
    .summary("list the built-in suites, or write one as a task file")
    .description(
      "Lists the built-in suites of cases. With a name, writes that suite as JSON Lines: the same seed gives the same cases.",
    )
    .addArgument(new Argument("[name]", "suite to write").choices(SUITE_WORDS))
    .addOption(option("--seed <number>", "seed of the cases (default: 1)", { parse: wholeNumber(0, 2 ** 32 - 1) }))
    .addOption(option("--cases <count>", "how many (default: as listed)", { parse: wholeNumber(1, 20_000) }))
    .option("--plain", "prompts in place of messages, for models without a chat template")
    .addOption(option("--out <file>", "file to write (default: standard output)", { completes: "file" }))
    .action(
      perform(async (invocation, options: SuiteOptions, name: string | undefined) => {
        const { SUITES } = await import("../evaluate/suites/registry.js");
        if (name === undefined) {
          requireNoOptions(options);
          const suites = SUITES.map(({ name, summary, casesDefault }) => ({ name, summary, cases: casesDefault }));
          return invocation.print({ suites }, () =>
            renderTable(
              suites.map((one) => [one.name, formatCount(one.cases), one.summary]),
              { header: ["suite", "cases", "what"], align: ["left", "right", "left"] },
            ),
          );
        }
        const { suiteText } = await import("../evaluate/suites/suite-task.js");
        const text = suiteText(suitePath(name, options));
        if (options.out === undefined) {
          if (invocation.json)
            throw new UsageError("--json means nothing for a suite on standard output: it is JSON Lines");
          process.stdout.write(text);
          return undefined;
        }
        const { sha256, writeFileAtomic } = await import("../support/files.js");
        await writeFileAtomic(options.out, text);
        const written = { output: options.out, cases: text.split("\n").length - 1, sha256: sha256(text) };
        return invocation.print(written, () => `${formatCount(written.cases)} cases in ${written.output}`);
      }),
    );
  addExamples(command, ["pare suite", "pare suite arithmetic --seed 7 --cases 500 --out arithmetic.jsonl"]);
}

/** The suite with what was asked of it, as `--task` takes it. */
export function suitePath(name: string, { seed, cases, plain }: SuiteOptions): string {
  const query = [
    ...(seed === undefined ? [] : [`seed=${seed}`]),
    ...(cases === undefined ? [] : [`cases=${cases}`]),
    ...(plain ? ["plain"] : []),
  ];
  return `suite:${name}${query.length > 0 ? `?${query.join("&")}` : ""}`;
}

function requireNoOptions(options: SuiteOptions): void {
  const [given] = Object.keys(options);
  if (given !== undefined) throw new UsageError(`--${given} means nothing without the name of a suite`);
}
