// `pare studio` as a shell runs it: what it refuses. What it shows is tested in a browser.
import { writeFileSync } from "node:fs";

import { expect, test } from "vitest";

import { pare, temporaryFolder } from "./command.js";
import { failureOf } from "./documents.js";

test.each([
  ["that is not there", "nofolder", "there is no such folder"],
  ["that is a file", "file", "it is a file, not a folder"],
])("studio refuses a folder %s, in place of watching it for ever", async (_what, name, problem) => {
  using folder = temporaryFolder();
  writeFileSync(folder.path("file"), "");
  const outcome = await pare(["studio", name, "--port", "0", "--json"], { cwd: folder.path("") });
  expect(outcome.exitCode).toBe(1);
  expect(failureOf(outcome).message).toBe(`Cannot watch "${name}": ${problem}`);
});
