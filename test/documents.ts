// Checks that what a command prints with --json is the document that its schema describes, and nothing besides.
import { expect } from "vitest";

import { DOCUMENTS } from "../src/cli/schemas.js";
import type { Outcome } from "./command.js";

type Documents = typeof DOCUMENTS;

/** The one document on standard output, checked: required fields are there, and no field is undocumented. */
export function documentOf<Name extends keyof Documents>(
  name: Name,
  { stdout }: Outcome,
): ReturnType<Documents[Name]["parse"]> {
  const printed = JSON.parse(stdout) as unknown;
  const parsed = DOCUMENTS[name].parse(printed);
  expect(parsed).toEqual(printed); // parsing drops fields that the schema does not know
  return parsed as ReturnType<Documents[Name]["parse"]>;
}

/** The failure that a command printed. */
export function failureOf(outcome: Outcome): { message: string; hint: string | null } {
  return documentOf("error", outcome).error;
}
