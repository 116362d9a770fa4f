// `pare fit --cascade`: when a small model may answer for a large one.
import { join } from "node:path";

import { UsageError } from "../errors.js";
import type { Cascade } from "../fit/cascade/cascade-file.js";
import { EXIT_CODES } from "../fit/certificate.js";
import type { FitOptions } from "./fit-request.js";
import type { Invocation } from "./invocation.js";
import { renderFacts } from "./table.js";
import { taskPath } from "./task-options.js";

const USED = new Set(["cascade", "task", "suite", "keep", "out", "scorer", "excludeFaulty", "seed"]);

/** @returns the exit code of the verdict */
export async function fitCascadeCommand(
  models: readonly string[],
  options: FitOptions,
  invocation: Invocation,
): Promise<number> {
  const { keep, out = "pare-out", scorer, excludeFaulty, seed } = options;
  const task = taskPath(options);
  const stranger = Object.keys(options).find((name) => !USED.has(name));
  if (stranger !== undefined) throw new UsageError(`"--${stranger}" says nothing of a cascade`);
  if (task === undefined) throw new UsageError("A cascade is fitted to a task", { hint: "Add --task cases.jsonl" });
  const { fitCascade } = await import("../fit/cascade/fit-cascade.js");
  const request = {
    models,
    task,
    keep: keep as number | undefined,
    out,
    scorer,
    excludeFaulty,
    seed,
    threads: invocation.threads,
  };
  const cascade = await fitCascade(request, invocation.runOptions);
  invocation.print(cascade, () => render(cascade, out));
  return EXIT_CODES[cascade.evidence!.verdict];
}

const percent = (value: number): string => `${(100 * value).toFixed(1)}%`;

function render({ of, threshold, evidence }: Cascade, out: string): string {
  const { verdict, keep, chosenOn, confirmedOn, saved } = evidence!;
  const { kept, score, cases, smallShare } = confirmedOn;
  const file = join(out, "cascade.json");
  const facts = renderFacts([
    ["score", `${percent(score.cascade)}; small model ${percent(score.small)}, large ${percent(score.large)}`],
    [
      "kept",
      `${percent(kept.mean)} (${percent(kept.low)} to ${percent(kept.high)}) of the large model's, wanted ${percent(keep)}`,
    ],
    [
      "small answers",
      `${percent(smallShare)} of ${cases} cases that the threshold was not chosen on (${percent(chosenOn.smallShare)} of ${chosenOn.cases} that it was)`,
    ],
    [
      "saved",
      `${percent(saved.requests)} of the large model's requests, ${percent(saved.compute)} of parameters × tokens`,
    ],
    ["threshold", threshold > 1 ? "never" : threshold.toFixed(6)],
    ["results", file],
    ["run it", of === "answers" ? `pare serve --cascade ${file}` : undefined],
  ]);
  return `${verdict}\n\n${facts}`;
}
