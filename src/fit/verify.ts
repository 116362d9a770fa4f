// Is a certificate still true? Its own hash, its signature, every file that it speaks of, and the statistic, worked out again from
// the recorded draws; on request the whole fit is run again.
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

import { FormatError, PareError, messageOf } from "../errors.js";
import { isSuitePath, suiteText } from "../evaluate/suites/suite-task.js";
import { canonicalJson } from "../support/canonical-json.js";
import { sha256, sha256File } from "../support/files.js";
import type { RunOptions } from "../support/progress.js";
import { judge } from "./bar.js";
import { type Certificate, type Quality, certificateSchema } from "./certificate.js";
import { EVIDENCE_FILE, parseEvidence } from "./evidence-file.js";
import type { FileRecord } from "./file-records.js";
import { fit } from "./fit.js";
import { JUDGE_FILE, parseHeard } from "./judge-record.js";
import type { FitRequestInput } from "./request.js";
import { certificateText, fingerprint, isSignatureValid, publicKeyText, readPublicKey, sealOf } from "./seal.js";
import { replay } from "./statistic.js";

export interface VerifyRequest {
  /** Path of `certificate.json`. */
  certificate: string;
  /** Public key, PEM, whose signature is wanted. */
  key?: string | undefined;
  /** Folder to look in, by name, for inputs that no longer lie where the fit found them. */
  inputs?: string | undefined;
  /** Run the fit again and compare. */
  rerun?: boolean | undefined;
}

export interface Check {
  what: string;
  ok: boolean;
  /** What was found, as a phrase. */
  found: string;
}

export interface Verification {
  certificate: string;
  /** True when every check passed. */
  ok: boolean;
  verdict: Certificate["verdict"];
  /** Short name of the key that signed it. */
  signedBy?: string;
  checks: Check[];
}

const FORMAT = "pare-certificate/1";
/** Two processors may round the last digit of a logarithm differently. */
const TOLERANCE = 1e-9;

/**
 * Checks a certificate.
 *
 * @returns all checks with what was found; `ok` is false when one of them failed
 * @throws {FormatError} when the file is no certificate, or one of another version
 * @throws {UsageError} when the key is none
 */
export async function verify(request: VerifyRequest, options: RunOptions = {}): Promise<Verification> {
  const key = request.key === undefined ? undefined : publicKeyText(await readPublicKey(request.key));
  const { certificate, text } = await readCertificate(request.certificate);
  const checks: Check[] = [checkForm(certificate, text), checkSeal(certificate), ...checkSignature(certificate, key)];
  // What a changed certificate says of files is worth nothing.
  if (isSound(checks)) checks.push(...(await checkContents(request, certificate, options)));
  if (request.rerun && isSound(checks)) {
    checks.push(await checkRerun(certificate, dirname(request.certificate), options));
  }
  return {
    certificate: request.certificate,
    ok: isSound(checks),
    verdict: certificate.verdict,
    ...(certificate.signature ? { signedBy: fingerprint(certificate.signature.publicKey) } : {}),
    checks,
  };
}

/** Every file that the certificate speaks of, and what follows from them. */
async function checkContents(request: VerifyRequest, certificate: Certificate, options: RunOptions): Promise<Check[]> {
  const checks: Check[] = [];
  const folder = dirname(request.certificate);
  for (const input of certificate.inputs ?? []) {
    checks.push(await checkFile(input, [input.path, join(request.inputs ?? folder, basename(input.path))], options));
  }
  checks.push(...checkSuite(certificate), ...tellOfJudges(certificate));
  for (const output of certificate.outputs ?? []) {
    checks.push(await checkFile(output, [join(folder, output.path)], options));
  }
  return [...checks, ...(await checkStatistic(certificate, folder))];
}

function isSound(checks: readonly Check[]): boolean {
  return checks.every(({ ok }) => ok);
}

async function readCertificate(path: string): Promise<{ certificate: Certificate; text: string }> {
  const refuse = (problem: string, hint: string, cause?: unknown): never => {
    throw new FormatError(path, `Cannot verify "${path}": ${problem}`, { hint, cause });
  };
  const bytes = await readFile(path).catch((cause: unknown) => {
    const isAbsent = (cause as NodeJS.ErrnoException).code === "ENOENT";
    return refuse(isAbsent ? "there is no such file" : messageOf(cause), "pare fit writes certificate.json", cause);
  });
  const hint = "It must be the certificate.json that pare fit wrote, byte for byte";
  let value: unknown;
  let text = "";
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    return refuse(`it is no JSON: ${messageOf(cause)}`, hint, cause);
  }
  const format = (value as { format?: unknown } | null)?.format;
  if (typeof format === "string" && format !== FORMAT) {
    refuse(`its format is "${format}", this Pare reads "${FORMAT}"`, "Verify it with the version that wrote it");
  }
  const parsed = certificateSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    return refuse(`"${issue.path.join(".")}": ${issue.message}`, hint);
  }
  return { certificate: value as Certificate, text }; // with fields that this version does not know: they are sealed, too
}

function checkForm(certificate: Certificate, text: string): Check {
  const ok = certificateText(certificate) === text;
  return { what: "form", ok, found: ok ? "canonical JSON" : "not the bytes that pare fit writes" };
}

function checkSeal(certificate: Certificate): Check {
  if (certificate.seal === undefined) {
    return { what: "seal", ok: false, found: "there is none: it was written before certificates were sealed" };
  }
  const ok = certificate.seal === sealOf(certificate);
  return { what: "seal", ok, found: ok ? "unchanged since it was sealed" : "the certificate was changed" };
}

function checkSignature(certificate: Certificate, key: string | undefined): Check[] {
  const what = "signature";
  const { signature } = certificate;
  if (!signature)
    return key === undefined ? [] : [{ what, ok: false, found: "there is none, one by your key is wanted" }];
  const name = fingerprint(signature.publicKey);
  if (!isSignatureValid(certificate)) return [{ what, ok: false, found: `not one of this certificate by key ${name}` }];
  if (key !== undefined && key !== signature.publicKey) {
    return [{ what, ok: false, found: `by another key, ${name}; yours is ${fingerprint(key)}` }];
  }
  return [
    { what, ok: true, found: key === undefined ? `by key ${name}; name yours with --key` : `by your key, ${name}` },
  ];
}

/** A built-in suite is no file: it is made again. */
function checkSuite({ task, hashes }: Certificate): Check[] {
  if (!isSuitePath(task.path)) return [];
  const ok = sha256(suiteText(task.path)) === hashes["task"];
  return [{ what: `task ${task.path}`, ok, found: ok ? "unchanged" : "this version of Pare makes other cases" }];
}

/** A judge's opinion can't be worked out again from numbers: what can be done is said for each. */
function tellOfJudges({ judge }: Certificate): Check[] {
  const names = new Map((judge?.judges ?? []).map(({ model, kind }) => [model, kind]));
  return [...names].map(([model, kind]) => ({
    what: `judge ${model}`,
    ok: true,
    found:
      kind === "file"
        ? "scores are taken as recorded; --rerun asks it again"
        : `scores are taken as recorded; an endpoint has no hash, and --rerun reads what it said from ${JUDGE_FILE}`,
  }));
}

/** @param places where it may lie; the first that is there counts */
async function checkFile(record: FileRecord, places: readonly string[], { signal }: RunOptions): Promise<Check> {
  const what = `${record.role} ${record.path}`;
  for (const place of places) {
    const found = await stat(place).catch(() => undefined);
    if (!found?.isFile()) continue;
    const ok = found.size === record.sizeBytes && (await sha256File(place, signal)) === record.sha256;
    return { what, ok, found: ok ? "unchanged" : "another content than the certificate was made with" };
  }
  return { what, ok: false, found: `not found; looked for ${places.map((place) => `"${place}"`).join(" and ")}` };
}

/** Replays the recorded draws: the same interval must come out, and an ACCEPT must follow from it. */
async function checkStatistic(certificate: Certificate, folder: string): Promise<Check[]> {
  const { bar, statistic, winner, trials } = certificate;
  if (!(certificate.outputs ?? []).some(({ path }) => path === EVIDENCE_FILE)) return [];
  const path = join(folder, EVIDENCE_FILE);
  const what = "statistic";
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return [{ what, ok: false, found: `"${path}" can't be read` }];
  const accepted = trials.find(({ verdict }) => verdict === "winner");
  let isAccepted = winner === null || accepted?.quality === undefined; // the original needs no proof
  for (const { candidate, part, draws } of parseEvidence(text, path)) {
    const trial = trials.find(({ id }) => id === candidate);
    const quality = trial?.quality;
    if (!quality || quality.part !== part) continue; // better evidence took its place
    const size = statistic?.target === "task" ? (quality.casesInPart ?? draws.length) : Infinity;
    const kept = replay(draws, bar.keep, size).kept();
    if (!isSame(kept, quality.kept)) {
      return [{ what, ok: false, found: `the draws of ${trial.candidate} give another interval than the certificate` }];
    }
    if (trial === accepted && part === "confirmation") isAccepted = judge(kept, bar.keep) === "clears";
  }
  return [
    { what, ok: isAccepted, found: isAccepted ? "follows from the recorded draws" : "the draws don't clear the bar" },
  ];
}

function isSame(a: Quality["kept"], b: Quality["kept"]): boolean {
  return (["mean", "low", "high"] as const).every(
    (end) => Math.abs(a[end] - b[end]) <= TOLERANCE * Math.max(1, Math.abs(b[end])),
  );
}

/** The whole fit once more, in a folder of its own; judges at endpoints are not asked again what they said. */
async function checkRerun(certificate: Certificate, folder: string, options: RunOptions): Promise<Check> {
  if (!certificate.request) throw new PareError("Cannot run the fit again: the certificate does not hold its request");
  const out = await mkdtemp(join(tmpdir(), "pare-verify-"));
  const isHeard = (certificate.outputs ?? []).some(({ path }) => path === JUDGE_FILE);
  const heard = isHeard ? parseHeard(await readFile(join(folder, JUDGE_FILE), "utf8")) : new Map();
  try {
    const request = { ...certificate.request, out } as unknown as FitRequestInput;
    const again = await fit(request, { ...options, heard, drawReport: () => "" });
    const ok = outcomeOf(again) === outcomeOf(certificate);
    const recalled = isHeard ? `, with what the judge said read from ${JUDGE_FILE}` : "";
    const found = ok
      ? `the same verdict, ${again.verdict}${recalled}`
      : `another outcome: ${again.verdict}, ${again.reason}`;
    return { what: "rerun", ok, found };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** What must come out again: verdict, winner, its bytes and its quality. */
function outcomeOf({ verdict, winner }: Certificate): string {
  return canonicalJson([verdict, winner && [winner.candidate, winner.sha256, winner.quality]]);
}
