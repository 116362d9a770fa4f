// Divergence compares probabilities token by token, so it needs one vocabulary. Said before anything is measured.
import { UsageError } from "../errors.js";
import { sha256 } from "../support/files.js";
import type { BaseModel } from "./candidates.js";

/** @throws {UsageError} when two models have different vocabularies */
export function requireOneVocabulary(bases: readonly BaseModel[], why: "text" | "cases"): void {
  const [first, ...others] = bases.map((base) => ({ base, hash: vocabularyHash(base) }));
  const other = others.find(({ hash }) => hash !== first!.hash);
  if (!other) return;
  throw new UsageError(
    `"${other.base.name}" and "${first!.base.name}" have different vocabularies, so their ${why === "text" ? "perplexities" : "divergences"} can't be compared`,
    {
      hint: "Run one fit for each family and compare their certificates",
    },
  );
}

function vocabularyHash({ model }: BaseModel): string {
  const values = model.metadata.array("tokenizer.ggml.tokens")?.values() ?? [];
  return sha256(
    JSON.stringify([...(values as Iterable<unknown>)], (_, value: unknown) =>
      typeof value === "bigint" ? String(value) : value,
    ),
  );
}
