// The pages and schemas that are generated from the source are what the source says now.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

const GENERATOR = fileURLToPath(new URL("../scripts/generate-docs.mjs", import.meta.url));

test("docs/cli.md, docs/json.md and schemas/ are up to date", () => {
  const { status, stderr } = spawnSync(process.execPath, [GENERATOR, "--check"], { encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});
