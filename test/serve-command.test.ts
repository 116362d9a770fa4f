// `pare serve` as a shell runs it.
import type { ChildProcess } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { expect, test } from "vitest";

import { pare } from "./command.js";
import { documentOf, failureOf } from "./documents.js";
import { BUNDLED } from "./serve-fixture.js";

test("serve prints where it listens, logs each request as JSON, and ends well at Ctrl-C", async () => {
  const answers: unknown[] = [];
  const useAndStop = (child: ChildProcess): void => {
    child.stdout!.once("data", (text: string) => {
      void (async () => {
        const { url } = JSON.parse(text) as { url: string };
        answers.push(await (await fetch(`${url}/v1/models`)).json());
        child.kill("SIGINT");
      })();
    });
  };
  const args = ["serve", `home=${BUNDLED}`, "--port", "0", "--threads", "1", "--parallel", "2", "--json"];
  const outcome = await pare(args, { onStart: useAndStop });
  expect(documentOf("serve", outcome)).toMatchObject({ models: [{ name: "home", parallel: 2, contextLength: 256 }] });
  expect(answers).toMatchObject([{ data: [{ id: "home" }] }]);
  expect(JSON.parse(outcome.stderr)).toMatchObject({ path: "/v1/models", status: 200 });
  expect(outcome.exitCode).toBe(0);
});

test.each([
  ["a port that is none", [BUNDLED, "--port", "70000"], 2, "Write a whole number from 0 to 65535"],
  ["no model", [], 2, "There is no model to serve"],
  ["a file of keys that is not there", [BUNDLED, "--api-key-file", "no-such-keys.txt"], 1, "no-such-keys.txt"],
  ["a model that is not there", ["no-such-model.gguf"], 1, "no-such-model.gguf"],
  ["routes that are not there", [BUNDLED, "--route", "none.yaml"], 1, '"none.yaml": no such file'],
  ["a cascade that is not there", ["--cascade", "none.json"], 1, '"none.json": no such file'],
  ["a cascade that is a folder", ["--cascade", "."], 1, 'Cannot read cascade ".": it is a folder'],
])("serve refuses %s", async (_what, args, exitCode, message) => {
  const outcome = await pare(["serve", ...args, "--threads", "1", "--json"]);
  expect(failureOf(outcome).message.toLowerCase()).toContain(message.toLowerCase());
  expect(outcome.exitCode).toBe(exitCode);
});

test("serve says who has the port", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  const { port } = other.address() as AddressInfo;
  const outcome = await pare(["serve", BUNDLED, "--port", String(port), "--threads", "1", "--json"]);
  expect(failureOf(outcome).message).toContain(`Cannot listen on 127.0.0.1:${port}: another program listens there`);
  other.close();
});
