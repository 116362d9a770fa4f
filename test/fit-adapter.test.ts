// A fit that starts from a model with an adapter: it is merged for the fit's time, and the certificate speaks of the two files.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { certificateSchema } from "../src/fit/certificate.js";
import { verify } from "../src/fit/verify.js";
import { adapt } from "../src/passes/adapt/adapt.js";
import { merge } from "../src/passes/adapt/merge.js";
import { pare, temporaryFolder } from "./command.js";
import { failureOf } from "./documents.js";

const bundled = fileURLToPath(new URL("../models/home-commands-f16.gguf", import.meta.url));
const bundledTask = fileURLToPath(new URL("../models/home-commands.task.jsonl", import.meta.url));

test(
  "fit takes a model with an adapter, and its certificate holds for these two files alone",
  { timeout: 300_000 },
  async () => {
    using folder = temporaryFolder();
    const [task, text, adapter, out] = ["task.jsonl", "text.jsonl", "adapter.gguf", "lean"].map((name) =>
      folder.path(name),
    );
    writeFileSync(task!, `${readFileSync(bundledTask, "utf8").split("\n").slice(0, 120).join("\n")}\n`);
    writeFileSync(text!, `${JSON.stringify({ prompt: "turn on", completion: " the light" })}\n`.repeat(8));
    const steps = { steps: 1, batch: 1, contextLength: 16, rank: 4, threads: 1, seed: 1 };
    await adapt({ model: bundled, texts: [text!], output: adapter!, ...steps });

    const fit = [
      "fit",
      "--task",
      task!,
      "--device",
      "laptop-8gb",
      "--keep",
      "70%",
      "--candidate",
      "q8_0",
      "--out",
      out!,
      "--threads",
      "1",
    ];
    const lost = await pare([...fit, `${bundled}+${folder.path("gone.gguf")}`, "--json"]);
    expect(failureOf(lost).message).toMatch(/gone.gguf" into .*: there is no such adapter/);

    const done = await pare([...fit, `${bundled}+${adapter}`]);
    expect({ exitCode: done.exitCode, stderr: done.stderr }).toEqual({ exitCode: 0, stderr: "" });
    const path = `${out}/certificate.json`;
    const certificate = certificateSchema.parse(JSON.parse(readFileSync(path, "utf8")));
    expect(certificate.baseline.path).toBe(`${bundled}+${adapter}`);
    expect(certificate.inputs!.map(({ role, path }) => [role, path])).toEqual([
      ["model", bundled],
      ["adapter", adapter],
      ["task", task],
    ]);
    const merged = await merge({ model: bundled, adapter: adapter!, output: folder.path("merged.gguf") });
    expect(certificate.baseline.sha256).toBe(merged.sha256); // so the recipe can be followed
    expect(readdirSync(`${out}/.pare`).filter((name) => name.endsWith(".gguf"))).toEqual([]);

    expect((await verify({ certificate: path })).ok).toBe(true);
    const bytes = readFileSync(adapter!);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(adapter!, bytes);
    const { checks } = await verify({ certificate: path });
    expect(checks.filter(({ ok }) => !ok).map(({ what }) => what)).toEqual([`adapter ${adapter}`]);
  },
);
