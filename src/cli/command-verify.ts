// `pare verify`: is a certificate still true?
import type { Command } from "commander";

import type { Verification } from "../fit/verify.js";
import { addExamples } from "./examples.js";
import { perform } from "./invocation.js";
import { argument, option } from "./options.js";
import { printable, renderTable } from "./table.js";

interface VerifyOptions {
  key?: string;
  inputs?: string;
  rerun?: boolean;
}

export function describeVerify(program: Command): void {
  const command = program
    .command("verify")
    .summary("check a certificate against the files that it speaks of")
    .description(
      "Checks that a certificate is unchanged, that every file it was made from and every file beside it has the hash it " +
        "states, that its verdict follows from the recorded draws, and whose signature it bears.",
    )
    .addArgument(argument("<certificate>", "certificate.json of a fit", "file"))
    .addOption(option("--key <file>", "public Ed25519 key, PEM, whose signature is wanted", { completes: "file" }))
    .addOption(
      option("--inputs <folder>", "where to look for models and tasks that were moved", { completes: "folder" }),
    )
    .option("--rerun", "run the whole fit again, too, and compare verdict, winner and quality")
    .addHelpText("after", "\nExit code: 0 all checks passed, 1 one of them failed")
    .action(
      perform(async (invocation, options: VerifyOptions, certificate: string) => {
        const { verify } = await import("../fit/verify.js");
        const result = await verify({ certificate, ...options }, invocation.runOptions);
        invocation.print(result, () => renderVerification(result));
        return result.ok ? 0 : 1;
      }),
    );
  addExamples(command, [
    "pare verify lean/certificate.json",
    "pare verify lean/certificate.json --key public.pem --inputs models",
    "pare verify lean/certificate.json --rerun --json",
  ]);
}

function renderVerification({ ok, verdict, checks }: Verification): string {
  const rows = checks.map((check) => [check.ok ? "ok" : "FAILED", printable(check.what), printable(check.found)]);
  const outcome = ok ? `The certificate holds: ${verdict}` : "The certificate does not hold";
  return `${renderTable(rows, { header: ["", "check", "found"] })}\n\n${outcome}`;
}
