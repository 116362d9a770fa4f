// A teacher's opinion is about tokens by their number, so student and teacher need one vocabulary. Said before anything is
// computed.
import { UsageError } from "../../errors.js";
import type { Model } from "../../model/model.js";

const TOKENS = "tokenizer.ggml.tokens";

/** @throws {UsageError} naming the first difference */
export function requireOneVocabulary(teacher: Model, student: Model): void {
  const difference = differenceOf(tokensOf(teacher), tokensOf(student));
  if (difference === undefined) return;
  throw new UsageError(`Student and teacher have different vocabularies: ${difference}`, {
    hint: `Choose a student of the teacher's family, cut it from the teacher (--layers), or begin anew with its vocabulary (--new); or train the student on text that the teacher writes`,
  });
}

function tokensOf({ metadata }: Model): string[] {
  const bytes = metadata.array(TOKENS)?.stringBytes() ?? [];
  return Array.from(bytes, (one) => Buffer.from(one.buffer, one.byteOffset, one.byteLength).toString("latin1"));
}

function differenceOf(teacher: readonly string[], student: readonly string[]): string | undefined {
  if (teacher.length !== student.length) return `${teacher.length} tokens and ${student.length}`;
  const at = teacher.findIndex((token, i) => token !== student[i]);
  if (at < 0) return undefined;
  const text = (token: string): string => JSON.stringify(Buffer.from(token, "latin1").toString());
  return `token ${at} is ${text(teacher[at]!)} to the teacher and ${text(student[at]!)} to the student`;
}
