// What a rounding by finished statistics has to say of them.
import { formatCount } from "../../support/units.js";
import type { FinishedInputs } from "./finished-inputs.js";
import type { RankWatch } from "./rank-watch.js";

/**
 * Tokens behind the statistics, and what makes them less useful.
 *
 * @param tensors names of all the model's tensors
 * @param rounded names of those that were rounded
 * @param watch what saw their inputs
 */
export function factsOfFile(
  { kind, path, inputs }: Pick<FinishedInputs, "kind" | "path" | "inputs">,
  tensors: Pick<ReadonlyMap<string, unknown>, "has">,
  rounded: Iterable<string>,
  watch: RankWatch,
): { statisticsTokens: number; warnings: string[] } {
  const listed = new Set(inputs.flatMap(({ weights }) => weights));
  const output = tensors.has("output.weight") ? "output.weight" : "token_embd.weight";
  const multiplied = [...rounded].filter((name) => name === output || !name.includes("token_embd"));
  // Importance files know no embedding that is the output.
  const kept = kind === "hessian" || output === "output.weight" ? output : undefined;
  const warnings = unlisted(path, multiplied, listed, kept);
  // Of a diagonal every number is known after one token.
  if (kind === "hessian") {
    warnings.push(...watch.warnings((tokens) => `Hessians of ${formatCount(tokens)} tokens of text or more would do`));
  }
  return { statisticsTokens: watch.tokensMax, warnings };
}

function unlisted(path: string, names: readonly string[], listed: ReadonlySet<string>, kept?: string): string[] {
  const lacking = names.filter((name) => !listed.has(name));
  if (lacking.length === 0) return [];
  const remedy =
    kept !== undefined && lacking.includes(kept) ? "; `pare calibrate --process-output` keeps those of the output" : "";
  return [
    `${lacking.length} of ${names.length} matrices have no statistics in "${path}", such as "${lacking[0]}": each of their columns ` +
      `counts the same${remedy}`,
  ];
}
