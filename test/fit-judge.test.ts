// A fit whose answers a judge scores: what it said is kept, asked once, named in the certificate, and enough to run the fit again.
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { afterAll, expect, test } from "vitest";

import { verify } from "../src/fit/verify.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { EndpointServer, answering, json } from "./endpoint-server.js";

const bundled = fileURLToPath(new URL("../models/home-commands-f16.gguf", import.meta.url));
const bundledTask = fileURLToPath(new URL("../models/home-commands.task.jsonl", import.meta.url));
const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const RUBRIC = "It names the right device";

/** The bundled task, scored by a judge. */
function writeTask(name: string, judge: object, fields: object = {}): string {
  const lines = readFileSync(bundledTask, "utf8").split("\n").slice(0, 60);
  const cases = lines.map((line, index) => {
    const { prompt, messages } = JSON.parse(line) as { prompt?: string; messages?: object[] };
    return JSON.stringify({ id: `c${index}`, prompt, messages, maxTokens: 6, judge, ...fields });
  });
  writeFileSync(folder.path(name), cases.join("\n"));
  return folder.path(name);
}

const fitOf = (task: string, out: string): string[] => {
  const candidates = ["--candidate", "q8_0", "--evaluations", "8", "--threads", "1", "--device", "laptop-8gb"];
  return ["fit", bundled, "--task", task, "--keep", "80%", "--out", folder.path(out), ...candidates];
};

/** What a fit keeps of a judge while it goes on. */
function judgedIn(out: string): string[] {
  const work = folder.path(`${out}/.pare`);
  const run = readdirSync(work).find((name) => existsSync(`${work}/${name}/journal.jsonl`));
  const lines = readFileSync(`${work}/${run}/journal.jsonl`, "utf8").split("\n");
  return lines.filter((line) => line.startsWith('{"key":"judge '));
}

test.skipIf(!existsSync(bundled))(
  "fit has a judge at an endpoint score, goes on where that failed, and can be run again without it",
  async () => {
    const grade = (question: string): string => `Grade: ${question.includes("TO GRADE") ? 3 : 1}`;
    const server = await EndpointServer.start((request, response, count) =>
      server.questions.length > 10
        ? json(response, 401, { error: { message: "out of credit" } })
        : answering(grade)(request, response, count),
    );
    const task = writeTask("graded.jsonl", { endpoint: server.url, model: "big", grades: 3, rubric: RUBRIC });
    const fit = fitOf(task, "graded");
    const capped = await pare([...fit, "--judge-price", "10/30", "--cost-cap", "0.1", "--json"]);
    expect(failureOf(capped).message).toMatch(/may cost up to \$\d+\.\d\d, the cap is \$0\.10/u);
    expect(server.questions).toEqual([]);

    const broken = await pare([...fit, "--json"]);
    expect(failureOf(broken).message).toMatch(/Cannot judge with "http.*out of credit/u);
    server.behave = answering(grade);
    const kept = judgedIn("graded").length;
    expect(kept).toBeGreaterThan(0);
    const before = server.questions.length;
    const outcome = await pare([...fit, "--json"]);
    const certificate = documentOf("certificate", outcome);
    expect({ exitCode: outcome.exitCode, verdict: certificate.verdict }).toEqual({ exitCode: 0, verdict: "ACCEPT" });
    const lines = readFileSync(folder.path("graded/judge.jsonl"), "utf8").trim().split("\n");
    expect(new Set(lines).size).toBe(lines.length);
    expect(server.questions.length - before).toBe(1 + lines.length - kept); // the one asks whether it is there
    expect(certificate.judge).toMatchObject({
      judges: [{ model: `${server.url}#big`, kind: "endpoint", grades: 3 }],
      unclear: 0,
    });
    expect(certificate.judge!.judges[0]!.rubricSha256).toMatch(/^[0-9a-f]{64}$/u);
    expect(certificate.notes.join()).toContain(`answers were scored by a model, ${server.url}#big`);

    const { url } = server;
    await server[Symbol.asyncDispose](); // it is gone
    const path = folder.path("graded/certificate.json");
    const checked = await verify({ certificate: path, rerun: true });
    expect(checked.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(checked.checks.find(({ what }) => what === `judge ${url}#big`)!.found).toMatch(/no hash/u);
    expect(checked.checks.at(-1)!.found).toBe(
      "the same verdict, ACCEPT, with what the judge said read from judge.jsonl",
    );
    writeFileSync(folder.path("graded/judge.jsonl"), lines.join("\n").replace("Grade: 3", "Grade: 2"));
    expect((await verify({ certificate: path })).ok).toBe(false);
  },
  600_000, // a fit starts some twenty processes
);

test.skipIf(!existsSync(bundled))(
  "fit compares answers with the baseline's by a judge, and ends where that is silent",
  async () => {
    await using server = await EndpointServer.start(answering(() => "Verdict: tie"));
    const judge = { endpoint: server.url, model: "big" };
    const certificate = documentOf(
      "certificate",
      await pare([...fitOf(writeTask("pairs.jsonl", judge), "pairs"), "--json"]),
    );
    expect(certificate).toMatchObject({ verdict: "ACCEPT", winner: { quality: { kept: { mean: 1 } } } });

    server.behave = answering(() => "Bananas, mostly.");
    const silent = writeTask("silent.jsonl", { ...judge, grades: 5 });
    expect(failureOf(await pare([...fitOf(silent, "silent"), "--json"])).message).toMatch(
      /The judge names no verdict on any of \d+ answers/u,
    );
  },
  600_000,
);
