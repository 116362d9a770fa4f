import { createHash } from "node:crypto";
import { expect, test } from "vitest";

import {
  acceptCertificate,
  infeasibleCertificate,
  needMoreCertificate,
  rejectCertificate,
} from "../../test/certificates.js";
import { type Certificate, certificateSchema } from "../fit/certificate.js";
import { renderReport } from "./report.js";

const command =
  "pare fit models/stories15M-f16.gguf --text data/stories-heldout.txt --device badge.json --keep 98% --seed 42";

const certificates = {
  ACCEPT: acceptCertificate(),
  REJECT: rejectCertificate(),
  INFEASIBLE: infeasibleCertificate(),
  NEED_MORE: needMoreCertificate(),
};
const all = Object.entries(certificates) as [string, Certificate][];

test.each(all)("the %s certificate of these tests is one", (_, certificate) => {
  expect(certificateSchema.safeParse(certificate).error).toBeUndefined();
});

test.each(all)("renderReport() of %s loads nothing and forbids loading", (_, certificate) => {
  const page = renderReport(certificate, { command });
  expect(page).not.toMatch(/<(?:link|img|iframe|object|embed|base)\b/i);
  expect(page).not.toMatch(/\bsrc\s*=/i);
  expect(page).not.toMatch(/https?:\/\//);
  expect(page).not.toMatch(/@import|url\(/i);
  expect(page).toContain("default-src &#39;none&#39;");
});

test("renderReport() allows only the script that it holds, by its hash", () => {
  const page = renderReport(certificates.ACCEPT, { command });
  const scripts = [...page.matchAll(/<script>([\s\S]*?)<\/script>/g)];
  expect(scripts).toHaveLength(1);
  expect(page).toContain(`sha256-${createHash("sha256").update(scripts[0]![1]!).digest("base64")}`);
  expect(page).not.toMatch(/\son[a-z]+=/i);
});

test.each(all)("renderReport() of %s has a row for every trial", (_, certificate) => {
  const page = renderReport(certificate, { command });
  const rows = [...page.matchAll(/<tr id="trial-(\d+)"/g)].map((match) => Number(match[1]));
  expect(rows).toEqual(certificate.trials.map((_, index) => index));
});

test.each([
  ["ACCEPT", "2.8 times smaller, 1.6 times as fast, 99.03\u202f% of the quality kept"],
  ["REJECT", "Nothing that fits keeps 98\u202f% of the quality"],
  ["INFEASIBLE", "Nothing fits 5.00 MB; something fits from 11.9 MB"],
  ["NEED_MORE", "Too little evidence to decide: about 420 cases would settle it"],
] as const)("renderReport() of %s puts the verdict first", (verdict, headline) => {
  const page = renderReport(certificates[verdict], { command });
  expect(page.match(/<h1>([\s\S]*?)<\/h1>/)![1]!.trim()).toBe(headline);
  expect(page.indexOf("<h1>")).toBeLessThan(page.indexOf("<h2>"));
});

test("renderReport() escapes every text of a certificate", () => {
  const hostile = `</script><img src=x onerror="alert(1)">'&`;
  const poisoned = JSON.parse(
    JSON.stringify(certificates.ACCEPT, (key, value: unknown) =>
      typeof value === "string" && !ENUMS.has(key) ? value + hostile : value,
    ),
  ) as Certificate;
  poisoned.versions[hostile] = hostile;
  poisoned.hashes[hostile] = hostile;
  const page = renderReport(poisoned, { command: hostile, recipe: hostile });
  expect(page).not.toContain("<img");
  expect(page).not.toMatch(/onerror="/);
  expect(page.match(/<\/script>/g)).toHaveLength(1);
  expect(page.match(/&#60;img src=x/g)!.length).toBeGreaterThan(50);
});
const ENUMS = new Set(["format", "verdict", "metric", "part", "stage", "minimize", "kind", "unit", "source"]);

test("renderReport() maps each layer, marks fallbacks and tells how to run and to repeat", () => {
  const page = renderReport(certificates.ACCEPT, { command, recipe: "passes: []\n" });
  expect(page.match(/class="cell b/g)).toHaveLength(6 * 7);
  expect(page.match(/ fallback"/g)).toHaveLength(2);
  expect(page).toContain('title="blk.0.ffn_down.weight: q5_1 (asked for q5_K)');
  expect(page).toContain("pare chat model.gguf --prompt &#39;Once upon a time&#39;");
  expect(page).toContain("ollama run stories15m-lean");
  expect(page).toContain(command);
  expect(page).toContain("passes: []");
  expect(renderReport(certificates.ACCEPT, { command, hasChatTemplate: true })).toContain(
    "llama-cli -m model.gguf -c 256",
  );
});

test("renderReport() runs a winner that needs small batches with small batches", () => {
  const page = renderReport(certificates.ACCEPT, { command, microBatchSize: 64 });
  expect(page).toContain("llama-server -m model.gguf -c 256 -ub 64");
  expect(page).toContain(String.raw`PARAMETER num_batch 64\n`);
});

test("renderReport() quotes a file name that a shell would run", () => {
  const winner = { ...certificates.ACCEPT.winner!, path: "out/$(reboot) it's.gguf" };
  const page = renderReport({ ...certificates.ACCEPT, winner }, { command });
  expect(page).toContain(String.raw`pare chat &#39;$(reboot) it&#39;\&#39;&#39;s.gguf&#39;`);
});

test.each(all)("renderReport() of %s has no dangling reference and no unknown number", (_, certificate) => {
  const page = renderReport(certificate, { command });
  expect(withoutCode(page)).not.toMatch(/NaN|Infinity|undefined|\[object/);
  const ids = [...page.matchAll(/\sid="([^"]+)"/g)].map((match) => match[1]);
  expect(new Set(ids).size).toBe(ids.length);
  for (const [, id] of page.matchAll(/href="#([^"]+)"/g)) expect(ids).toContain(id);
});

test("renderReport() of a certificate without trials, speeds or qualities still is a page", () => {
  const bare: Certificate = { ...certificates.INFEASIBLE, trials: [], nearestFeasibleBytes: undefined, versions: {} };
  const page = renderReport(bare, { command });
  expect(page).toContain("<h1>Nothing fits 5.00 MB</h1>");
  expect(withoutCode(page)).not.toMatch(/NaN|Infinity|undefined/);
});

function withoutCode(page: string): string {
  return page.replace(/<(script|style)>[\s\S]*?<\/\1>/g, "");
}

test("renderReport() calls a loss of speed a loss", () => {
  const certificate = acceptCertificate();
  certificate.winner!.decodeTokensPerSecond = certificate.baseline.decodeTokensPerSecond! * 0.8;
  expect(renderReport(certificate, { command: "pare fit" })).toContain("20\u202f% slower");
});

test("renderReport() names the worst slice and lists all, where cases have tags", () => {
  const page = renderReport(certificates.NEED_MORE, { command });
  expect(page).toMatch(/does worst on <strong>lights<\/strong>/);
  expect(page).toContain('href="#slices"');
  expect(page).toContain("&#60;music&#62;");
  expect(renderReport(certificates.ACCEPT, { command })).not.toContain('id="slices"');
});
