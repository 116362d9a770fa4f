import { CommanderError } from "commander";
import { expect, test } from "vitest";

import { EngineError, PareError, UsageError } from "../errors.js";
import { failureOf } from "./failure.js";

test("failureOf keeps the message and hint of Pare's own errors", () => {
  expect(failureOf(new PareError("It is so", { hint: "Do this" }))).toMatchObject({
    message: "It is so",
    hint: "Do this",
    exitCode: 1,
  });
});

test("failureOf gives usage errors exit code 2", () => {
  expect(failureOf(new UsageError("Which one?")).exitCode).toBe(2);
  expect(failureOf(new CommanderError(1, "commander.unknownOption", "error: unknown option '--x'")).exitCode).toBe(2);
});

test("failureOf makes the suggestion of a mistyped option the hint", () => {
  const error = new CommanderError(
    1,
    "commander.unknownOption",
    "error: unknown option '--jsn'\n(Did you mean --json?)",
  );
  expect(failureOf(error)).toMatchObject({ message: "Unknown option '--jsn'", hint: "Did you mean --json?" });
});

test("failureOf words what the system refuses", () => {
  const error = Object.assign(new Error("ENOENT: …"), { code: "ENOENT", path: "x.gguf", syscall: "open" });
  expect(failureOf(error)).toMatchObject({ message: 'Cannot read "x.gguf": no such file', exitCode: 1 });
});

test("failureOf keeps what the engine said", () => {
  expect(failureOf(new EngineError("It stopped", { log: ["why"] })).log).toEqual(["why"]);
});

test("failureOf asks for a report of what was not foreseen", () => {
  expect(failureOf(new Error("x is undefined")).hint).toContain("PARE_DEBUG");
});
