import { expect, test } from "vitest";

import { EngineError, FormatError, PareError, ResourceError, UsageError } from "../errors.js";
import { rebuildError, transportError } from "./transport-error.js";

test.each([
  new PareError("one", { hint: "try two" }),
  new EngineError("one", { hint: "try two", log: ["three"] }),
  new FormatError("x.gguf", "one"),
  new UsageError("one"),
  new ResourceError("one", { hint: "try two" }),
  new RangeError("one"),
  new TypeError("one"),
  Object.assign(new Error("one"), { name: "AbortError" }),
])("rebuildError() of what transportError() sends has the class and the fields of $name", (error) => {
  const rebuilt = rebuildError(structuredClone(transportError(error)));
  expect(rebuilt).toBeInstanceOf(error.constructor);
  expect(rebuilt).toMatchObject({ ...error, name: error.name, message: error.message });
  expect(rebuilt.stack).toBe(error.stack);
});

test("transportError() takes whatever was thrown", () => {
  expect(rebuildError(transportError("no error at all")).message).toBe("no error at all");
});
