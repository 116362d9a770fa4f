// `pare verify` as a shell runs it: what a fit wrote holds, and nothing that differs from it by a byte does.
import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { verify } from "../src/fit/verify.js";
import { Random } from "../src/support/random.js";
import { pare, temporaryFolder } from "./command.js";
import { documentOf, failureOf } from "./documents.js";

const bundled = fileURLToPath(new URL("../models/home-commands-f16.gguf", import.meta.url));
const bundledTask = fileURLToPath(new URL("../models/home-commands.task.jsonl", import.meta.url));

const folder = temporaryFolder();
const task = folder.path("task.jsonl");
const out = folder.path("lean");
const certificate = folder.path("lean/certificate.json");

function writeKeys(name: string): void {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  writeFileSync(folder.path(`${name}.pem`), privateKey.export({ type: "pkcs8", format: "pem" }));
  writeFileSync(folder.path(`${name}-public.pem`), publicKey.export({ type: "spki", format: "pem" }));
}

/** Changes the byte at a place, does something, and puts it back. */
async function withChangedByte<T>(path: string, place: number, value: number, work: () => Promise<T>): Promise<T> {
  const bytes = readFileSync(path);
  const before = bytes[place]!;
  bytes[place] = value === before ? value ^ 1 : value;
  writeFileSync(path, bytes);
  try {
    return await work();
  } finally {
    bytes[place] = before;
    writeFileSync(path, bytes);
  }
}

/** True when a certificate is refused, by an error or by a check. */
function isRefused(): Promise<boolean> {
  return verify({ certificate }).then(
    ({ ok }) => !ok,
    (error: Error) => /^Cannot (verify|read)/.test(error.message),
  );
}

describe.skipIf(!existsSync(bundled))("pare verify", () => {
  beforeAll(async () => {
    writeFileSync(task, readFileSync(bundledTask, "utf8").split("\n").slice(0, 120).join("\n"));
    writeKeys("mine");
    writeKeys("other");
    const candidates = ["--candidate", "q8_0", "--candidate", "q6_K", "--evaluations", "10", "--threads", "1"];
    const fit = ["fit", bundled, "--task", task, "--keep", "80%", "--out", out, ...candidates];
    const { exitCode } = await pare([...fit, "--sign", folder.path("mine.pem"), "--quiet"]);
    expect(exitCode).toBe(0);
  }, 600_000); // a fit starts some twenty processes
  afterAll(() => folder[Symbol.dispose]());

  test("a fresh certificate holds, with every file and the signature", async () => {
    const outcome = await pare(["verify", certificate, "--key", folder.path("mine-public.pem"), "--json"]);
    expect(outcome).toMatchObject({ exitCode: 0, stderr: "" });
    const { ok, verdict, checks } = documentOf("verify", outcome);
    expect({ ok, verdict }).toEqual({ ok: true, verdict: "ACCEPT" });
    const names = ["model.gguf", "recipe.yaml", "evidence.jsonl", "report.html", "model-card.md", "importance.gguf"];
    const seen = checks.map(({ what }) => what.split(" ").at(-1)!);
    expect(seen).toEqual(expect.arrayContaining(["form", "seal", "signature", "statistic", bundled, task, ...names]));
  });

  test("any changed byte of the certificate is refused", async () => {
    const random = new Random(1);
    const size = readFileSync(certificate).length;
    const survivors: number[] = [];
    for (let change = 0; change < 400; change++) {
      // The last 300 bytes are seal and signature: all of them, one by one.
      const place = change < 300 ? size - 1 - change : random.integer(size);
      if (!(await withChangedByte(certificate, place, 32 + random.integer(95), isRefused))) survivors.push(place);
    }
    expect(survivors).toEqual([]);
    expect(await isRefused()).toBe(false); // it is whole again
  });

  test.each([
    ["the task", task],
    ["the model that was written", folder.path("lean/model.gguf")],
    ["the evidence", folder.path("lean/evidence.jsonl")],
    ["the report", folder.path("lean/report.html")],
    ["the model card", folder.path("lean/model-card.md")],
  ])("any changed byte of %s is refused", async (_what, path) => {
    const random = new Random(2);
    const size = readFileSync(path).length;
    for (const place of [0, size - 1, random.integer(size), random.integer(size), random.integer(size)]) {
      expect(await withChangedByte(path, place, random.integer(256), isRefused), `byte ${place}`).toBe(true);
    }
  });

  test("a signature by another key is refused and both keys are named", async () => {
    const outcome = await pare(["verify", certificate, "--key", folder.path("other-public.pem"), "--json"]);
    expect(outcome.exitCode).toBe(1);
    const signature = documentOf("verify", outcome).checks.find(({ what }) => what === "signature")!;
    expect(signature.found).toMatch(/^by another key, [0-9a-f]{16}; yours is [0-9a-f]{16}$/);
  });

  test("a certificate of another version is refused with what to do", async () => {
    const newer = folder.path("lean/newer.json");
    writeFileSync(newer, readFileSync(certificate, "utf8").replace("pare-certificate/1", "pare-certificate/2"));
    const outcome = await pare(["verify", newer, "--json"]);
    expect(outcome.exitCode).toBe(1);
    expect(failureOf(outcome)).toEqual({
      message: `Cannot verify "${newer}": its format is "pare-certificate/2", this Pare reads "pare-certificate/1"`,
      hint: "Verify it with the version that wrote it",
    });
  });

  test.each([
    ["what is no key", () => bundledTask, "is not a public key in PEM form"],
    ["a private key of another kind", () => writeRsaKey(), "holds a key for rsa, Ed25519 is wanted"],
    ["a key that is not there", () => "nowhere.pem", "Cannot read key"],
  ])("--key with %s is refused", async (_what, path, message) => {
    const outcome = await pare(["verify", certificate, "--key", path(), "--json"]);
    expect(outcome.exitCode).toBeGreaterThan(0);
    expect(failureOf(outcome).message).toContain(message);
  });

  test("inputs that were moved are looked for in --inputs", async () => {
    const moved = JSON.parse(readFileSync(certificate, "utf8")) as { inputs: { path: string }[] };
    expect(moved.inputs.map(({ path }) => path)).toEqual([bundled, task]);
    const { checks } = await verify({ certificate, inputs: folder.path("") });
    expect(checks.every(({ ok }) => ok)).toBe(true);
  });

  test("--rerun comes to the same verdict, winner and quality", async () => {
    const { ok, checks } = documentOf("verify", await pare(["verify", certificate, "--rerun", "--json"]));
    expect(checks.at(-1)).toEqual({ what: "rerun", ok: true, found: "the same verdict, ACCEPT" });
    expect(ok).toBe(true);
  });
});

function writeRsaKey(): string {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const path = folder.path("rsa.pem");
  writeFileSync(path, publicKey.export({ type: "spki", format: "pem" }));
  return path;
}

test("verify of a file that is no certificate says what is missing", async () => {
  using empty = temporaryFolder();
  writeFileSync(empty.path("x.json"), "{}");
  writeFileSync(empty.path("y.json"), "nonsense");
  expect(failureOf(await pare(["verify", empty.path("x.json"), "--json"])).message).toContain('"format"');
  expect(failureOf(await pare(["verify", empty.path("y.json"), "--json"])).message).toContain("it is no JSON");
  expect(failureOf(await pare(["verify", empty.path("z.json"), "--json"])).message).toContain("there is no such file");
});
