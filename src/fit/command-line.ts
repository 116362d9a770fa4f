// A request as the command that asks for it, for whoever wants the same again, or to go on.
import type { FitRequest } from "./request.js";

/** The command that asks for the same again. */
export function commandLine(request: FitRequest): string {
  const {
    models,
    task,
    text,
    scorer,
    device,
    keep,
    minimize,
    budget,
    evaluations,
    context,
    memory,
    candidates,
    importance,
    calibrate,
    sizes,
    out,
    seed,
    threads,
    claim,
    sign,
    excludeFaulty,
    allowCode,
    workload,
    utilisation,
    grid,
    endpoint,
    judgePrice,
    costCap,
  } = request;
  const flags: [string, unknown][] = [
    ["--task", task],
    ...(text ?? []).map((path): [string, unknown] => ["--text", path]),
    ["--scorer", scorer],
    ["--device", device],
    ["--memory", memory],
    ["--keep", `${Number((keep * 100).toFixed(4))}%`],
    ["--claim", claim === "task" ? undefined : claim],
    ["--minimize", minimize],
    ["--budget", `${budget}s`],
    ["--evaluations", evaluations],
    ["--context", context],
    ...(candidates ?? []).map((name): [string, unknown] => ["--candidate", name]),
    ["--imatrix", importance],
    ...(calibrate ?? []).map((path): [string, unknown] => ["--calibrate", path]),
    ...(sizes ?? []).map((size): [string, unknown] => ["--size", size]),
    ["--workload", workload && `${workload.promptTokens}+${workload.answerTokens}x${workload.concurrency}`],
    ["--utilisation", utilisation],
    ["--grid", grid],
    ["--endpoint", endpoint],
    ["--judge-price", judgePrice],
    ["--cost-cap", costCap],
    ["--seed", seed],
    ["--threads", threads],
    ["--sign", sign],
    ["--out", out],
  ];
  const words = flags.flatMap(([flag, value]) => (value === undefined ? [] : [flag, quoted(String(value))]));
  const switches = [...(excludeFaulty ? ["--exclude-faulty"] : []), ...(allowCode ? ["--allow-code"] : [])];
  return ["pare fit", ...models.map(quoted), ...words, ...switches].join(" ");
}

function quoted(word: string): string {
  return /^[\w./:=%+-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
