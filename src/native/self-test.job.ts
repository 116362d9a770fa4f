// A job that does what its input says: the tests of `isolate` need one that echoes, fails, hangs, lingers and aborts.
import { FormatError } from "../errors.js";
import { loadEngine } from "./engine.js";
import type { JobContext } from "./isolate.js";

export async function run(
  input: { echo?: unknown; abort?: boolean; fail?: boolean; hang?: boolean; linger?: boolean },
  context: JobContext,
): Promise<unknown> {
  context.progress({ stage: "testing", done: 1, total: 2, unit: "steps" });
  await context.flush();
  if (input.fail) throw new FormatError("x.gguf", "bad file", { hint: "look at it" });
  if (input.abort) abortInGgml();
  if (input.hang) for (;;) Math.sqrt(2); // never returns to the event loop, as a long native call would not
  context.emit("halfway");
  if (input.linger) for await (const _message of context.messages()); // until the parent hangs up
  return input.echo;
}

/** A product of tensors that can't be multiplied trips an assertion. */
function abortInGgml(): void {
  const { ggml } = loadEngine();
  const context = ggml.ggml_init({ mem_size: 1 << 16, mem_buffer: null, no_alloc: true });
  ggml.ggml_mul_mat(context, ggml.ggml_new_tensor_2d(context, 0, 3, 1), ggml.ggml_new_tensor_2d(context, 0, 4, 1));
}
