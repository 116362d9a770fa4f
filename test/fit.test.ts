// The main job from end to end, as a user runs it: models and a task in, a folder with the result out.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, test, vi } from "vitest";

import { certificateSchema, type Certificate } from "../src/fit/certificate.js";
import { sha256File } from "../src/support/files.js";
import { sharedData, sharedModel } from "./shared.js";

const command = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const bundled = fileURLToPath(new URL("../models/home-commands-f16.gguf", import.meta.url));
const bundledTask = fileURLToPath(new URL("../models/home-commands.task.jsonl", import.meta.url));
const model = sharedModel("stories260K-f32.gguf");
const stories = sharedData("stories-heldout.txt");
const text = stories && shortened(stories);

/** A quarter of it is enough to see the whole path. */
function shortened(path: string): string {
  const short = join(scratch(), "stories.txt");
  writeFileSync(short, readFileSync(path, "utf8").slice(0, 24_000));
  return short;
}

interface Run {
  code: number | null;
  output: string;
  printed: string;
}

/** @param killWhen checked every 50 ms; the run is killed with -9 when it is true */
function pare(args: string[], killWhen: () => boolean = () => false): Promise<Run> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [command, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const run: Run = { code: null, output: "", printed: "" };
    child.stdout.on("data", (chunk: Buffer) => (run.output += chunk));
    child.stderr.on("data", (chunk: Buffer) => (run.printed += chunk));
    const watch = setInterval(() => killWhen() && child.kill("SIGKILL"), 50);
    child.on("close", (code) => {
      clearInterval(watch);
      resolve({ ...run, code });
    });
  });
}

function scratch(): string {
  return mkdtempSync(join(tmpdir(), "pare-fit-"));
}

function writeDevice(folder: string, memoryBytes: number): string {
  const path = join(folder, "device.json");
  writeFileSync(path, JSON.stringify({ name: "Test board", memoryBytes }));
  return path;
}

function certificateIn(out: string): Certificate {
  return certificateSchema.parse(JSON.parse(readFileSync(join(out, "certificate.json"), "utf8")));
}

/** Lines of the journal of a fit that is under way. */
function journalLines(out: string): number {
  const work = join(out, ".pare");
  if (!existsSync(work)) return 0;
  const [run] = readdirSync(work);
  const path = join(work, run!, "journal.jsonl");
  return existsSync(path) ? readFileSync(path, "utf8").split("\n").length - 1 : 0;
}

/** What must not depend on interruptions. */
function essence({ verdict, winner, trials }: Certificate): unknown {
  return {
    verdict,
    winner: winner && { candidate: winner.candidate, sha256: winner.sha256, quality: winner.quality },
    trials: trials.map(({ id, stage, verdict, screenKlDivergence, quality }) => ({
      id,
      stage,
      verdict,
      screenKlDivergence,
      quality,
    })),
  };
}

vi.setConfig({ testTimeout: 240_000 }); // a fit starts some twenty processes

const FEW = ["--candidate", "q4_0", "--candidate", "q5_1", "--candidate", "q8_0", "--evaluations", "12"];

describe.skipIf(!model || !text)("pare fit on text", () => {
  test("writes the winner with recipe, certificate and report, and the recipe makes the same file", async () => {
    const out = scratch();
    const { code, output } = await pare([
      "fit",
      model!,
      "--text",
      text!,
      "--keep",
      "95%",
      ...FEW,
      "--out",
      out,
      "--json",
    ]);
    const certificate = certificateIn(out);
    expect(code).toBe(0);
    expect(certificateSchema.parse(JSON.parse(output))).toEqual(certificate);
    expect(certificate.verdict).toBe("ACCEPT");
    expect(certificate.winner!.sha256).toBe(await sha256File(join(out, "model.gguf")));
    expect(certificate.winner!.quality!.part).toBe("confirmation");
    expect(certificate.winner!.quality!.kept.low).toBeGreaterThanOrEqual(0.95);
    expect(certificate.hashes["model"]).toBe(await sha256File(model!));
    expect(readFileSync(join(out, "report.html"), "utf8")).toContain("ACCEPT");
    expect((await pare(["verify", join(out, "certificate.json"), "--json"])).code).toBe(0);
    const again = join(out, "again.gguf");
    expect((await pare(["quantize", model!, again, "--recipe", join(out, "recipe.yaml")])).code).toBe(0);
    expect(await sha256File(again)).toBe(certificate.winner!.sha256);
    const chat = await pare([
      "chat",
      join(out, "model.gguf"),
      "--prompt",
      "Once upon a time",
      "--greedy",
      "--tokens",
      "8",
    ]);
    expect(chat.code).toBe(0);
    expect(chat.output.trim().length).toBeGreaterThan(8);
  });

  test("killed with -9 again and again, comes to the same verdict, winner and quality", async () => {
    const [straight, broken] = [scratch(), scratch()];
    const args = ["fit", model!, "--text", text!, "--keep", "95%", ...FEW];
    await pare([...args, "--out", straight]);
    for (const lines of [2, 4, 6]) {
      const { code } = await pare([...args, "--out", broken], () => journalLines(broken) >= lines);
      expect(code).toBe(null); // it was killed, not finished
      expect(existsSync(join(broken, "model.gguf"))).toBe(false);
    }
    expect((await pare([...args, "--out", broken])).code).toBe(0);
    expect(essence(certificateIn(broken))).toEqual(essence(certificateIn(straight)));
  });

  test("races mixes of any size, killed on the way, and a fit that was not comes to the same winner", async () => {
    const out = scratch();
    const sizes = ["--size", "8bpw", "--size", "10bpw", "--candidate", "original"];
    const args = ["fit", model!, "--text", text!, "--keep", "97%", "--threads", "1", "--budget", "1h", ...sizes];
    for (const lines of [2, 5]) {
      expect((await pare([...args, "--out", out], () => journalLines(out) >= lines)).code).toBe(null);
    }
    expect((await pare([...args, "--out", out])).code).toBe(0);
    const { winner, trials, outputs } = certificateIn(out);
    expect(winner!.candidate).toMatch(/^mix@/);
    const mix = trials.find(({ verdict }) => verdict === "winner")!;
    expect(winner!.sizeBytes).toBe(mix.sizeBytes);
    const part = outputs!.find(({ path }) => path === "mix-calibration.txt")!;
    expect(mix.recipe).toMatchObject({ quantize: { calibrate: { texts: [{ sha256: part.sha256 }] } } });
    const again = join(out, "again.gguf");
    const recipe = ["--recipe", join(out, "recipe.yaml"), "--threads", "1"];
    expect((await pare(["quantize", model!, again, ...recipe])).code).toBe(0);
    expect(await sha256File(again)).toBe(winner!.sha256);
    expect((await pare(["verify", join(out, "certificate.json"), "--rerun"])).code).toBe(0);
  }, 600_000);

  test("says INFEASIBLE, what would be feasible, and writes no model", async () => {
    const out = scratch();
    const { code, output } = await pare([
      "fit",
      model!,
      "--text",
      text!,
      "--device",
      writeDevice(out, 10_000),
      "--out",
      out,
      "--json",
    ]);
    const certificate = JSON.parse(output) as Certificate;
    expect(code).toBe(4);
    expect(certificate.verdict).toBe("INFEASIBLE");
    expect(existsSync(join(out, "model.gguf"))).toBe(false);
    const nearest = certificate.nearestFeasibleBytes!;
    const enough = await pare([
      "fit",
      model!,
      "--text",
      text!,
      "--device",
      writeDevice(out, nearest),
      "--keep",
      "1%",
      "--evaluations",
      "8",
      "--out",
      scratch(),
      "--json",
    ]);
    expect(JSON.parse(enough.output)).toMatchObject({ verdict: "ACCEPT" });
  });

  test("says REJECT when nothing that fits clears the bar, and removes the model of an earlier fit", async () => {
    const out = scratch();
    const args = ["fit", model!, "--text", text!, "--candidate", "q4_0", "--evaluations", "8", "--out", out];
    expect((await pare([...args, "--keep", "50%"])).code).toBe(0);
    expect(existsSync(join(out, "model.gguf"))).toBe(true);
    expect((await pare([...args, "--keep", "100%"])).code).toBe(3);
    expect(existsSync(join(out, "model.gguf"))).toBe(false);
    expect(certificateIn(out)).toMatchObject({ verdict: "REJECT", winner: null });
  });
});

describe.skipIf(!existsSync(bundled))("pare fit on cases", () => {
  function fewCases(folder: string, count: number): string {
    const path = join(folder, "few.task.jsonl");
    writeFileSync(path, readFileSync(bundledTask, "utf8").split("\n").slice(0, count).join("\n"));
    return path;
  }

  const other = sharedModel("minimind2-small-f16.gguf");
  test.skipIf(!other)(
    "races models of different vocabularies, drops the one that fails, and explains each",
    async () => {
      const out = scratch();
      const args = ["fit", bundled, other!, "--task", fewCases(out, 60), "--keep", "50%", "--device", "phone"];
      const names = ["q8_0", "q4_0", "original"].flatMap((name) => ["--candidate", name]);
      const { code, output } = await pare([...args, ...names, "--evaluations", "20", "--out", out, "--explain"]);
      const { trials, winner } = certificateIn(out);
      expect(code).toBe(0);
      expect(winner!.candidate).toMatch(/home-commands/);
      const lost = trials.filter((trial) => trial.model === other);
      expect(lost.map(({ verdict }) => verdict).sort()).toEqual(["fails", "not-measured", "not-measured"]);
      for (const { reason } of trials) expect(output).toContain(reason);
    },
  );

  test("says NEED_MORE and how many cases, where few cases can't prove it of all like them", async () => {
    const out = scratch();
    const { code, output } = await pare([
      "fit",
      bundled,
      "--task",
      fewCases(out, 40),
      "--keep",
      "99%",
      "--claim",
      "population",
      "--candidate",
      "q6_K",
      "--evaluations",
      "8",
      "--out",
      out,
      "--json",
    ]);
    const certificate = JSON.parse(output) as Certificate;
    expect(code).toBe(5);
    expect(certificate.verdict).toBe("NEED_MORE");
    expect(certificate.casesNeeded!.unit).toBe("cases");
    // A flawless candidate needs 445 at this bar: ln 40 and what is staked too low, over ln(1 + 0.01 / 0.99).
    expect(certificate.casesNeeded!.more).toBeGreaterThan(380);
    expect(certificate.casesNeeded!.count).toBeGreaterThan(certificate.casesNeeded!.more!);
  });

  test("says NEED_MORE where the baseline fails the few cases that candidates are chosen with", async () => {
    const out = scratch();
    const task = join(out, "hopeless.jsonl");
    const cases = Array.from({ length: 16 }, (_, i) => ({ prompt: `Question ${i}:`, expect: "42", scorer: "exact" }));
    writeFileSync(task, cases.map((one) => JSON.stringify({ ...one, maxTokens: 4 })).join("\n"));
    const fit = ["fit", bundled, "--task", task, "--candidate", "q8_0", "--candidate", "original", "--out", out];
    const { code, output } = await pare([...fit, "--evaluations", "8", "--threads", "1", "--json"]);
    const certificate = JSON.parse(output) as Certificate;
    expect({ code, verdict: certificate.verdict, winner: certificate.winner }).toEqual({
      code: 5,
      verdict: "NEED_MORE",
      winner: null,
    });
    expect(certificate.reason).toContain("scores 0 on the selection part");
    expect(certificate.casesNeeded).toEqual({ count: 140, unit: "cases" });
  });

  test("accepts at a bar that the cases can settle", async () => {
    const out = scratch();
    const { code } = await pare([
      "fit",
      bundled,
      "--task",
      fewCases(out, 120),
      "--keep",
      "80%",
      "--candidate",
      "q8_0",
      "--candidate",
      "q6_K",
      "--evaluations",
      "10",
      "--out",
      out,
    ]);
    expect(code).toBe(0);
    const { winner, statistic, trials } = certificateIn(out);
    expect(winner!.quality).toMatchObject({ metric: "score", part: "confirmation", casesInPart: 60, casesToSettle: 0 });
    expect(statistic).toMatchObject({ target: "task", casesInTarget: 60, errorRate: 0.05, order: "adaptive" });
    expect(trials.find(({ verdict }) => verdict === "winner")!.quality!.cases).toBeLessThan(60); // it stopped when it was clear
  });

  test("killed with -9 between batches, comes to the same verdict, winner and quality", async () => {
    const [straight, broken] = [scratch(), scratch()];
    const args = ["fit", bundled, "--task", fewCases(straight, 300), "--keep", "97%", "--evaluations", "10"];
    args.push("--candidate", "q8_0", "--candidate", "q4_0");
    await pare([...args, "--out", straight]);
    for (const lines of [5, 8, 11]) {
      const { code } = await pare([...args, "--out", broken], () => journalLines(broken) >= lines);
      expect(code).toBe(null); // it was killed, not finished
    }
    await pare([...args, "--out", broken]);
    expect(essence(certificateIn(broken))).toEqual(essence(certificateIn(straight)));
    expect(readFileSync(join(broken, "evidence.jsonl"), "utf8")).toBe(
      readFileSync(join(straight, "evidence.jsonl"), "utf8"),
    );
  });
});

test.each([
  [["fit", "nowhere.gguf", "--text", "x.txt"], 1, /nowhere\.gguf.*no such file|there is no such file/],
  [["fit", bundled], 2, /No task and no text/],
  [["fit", bundled, "--task", bundledTask, "--device", "toaster"], 2, /No device is called "toaster"/],
  [["fit", bundled, "--task", bundledTask, "--keep", "150%"], 2, /not a share/],
  [["fit", bundled, "--task", "nowhere.jsonl"], 1, /nowhere\.jsonl.*no such file/],
])("%j is refused with a message and exit code %i", async (args, code, message) => {
  const run = await pare([...args, "--out", join(scratch(), "out"), "--json"]);
  expect(run.code).toBe(code);
  expect(JSON.parse(run.output).error.message).toMatch(message);
});
