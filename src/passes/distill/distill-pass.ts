// Distillation as a pass: the model is the teacher, what comes out is the student.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { UsageError } from "../../errors.js";
import type { Model } from "../../model/model.js";
import { openModel } from "../../model/open.js";
import type { Pass } from "../pass.js";
import { distill } from "./distill.js";
import { type DistillOptions, distillOptionsSchema, requestOfOptions } from "./distill-options.js";

/** Has a smaller model learn what the model expects. The student lies in a file of its own until it is closed. */
export const distillPass: Pass<DistillOptions> = {
  name: "distill",
  summary: "Has a student learn from what the model expects at each token of a text",
  paper: "https://arxiv.org/abs/1503.02531",
  options: distillOptionsSchema,
  async apply(model, options, { threads, seed, signal, onProgress }) {
    if (model.path === undefined) throw new UsageError("A teacher is wanted as a file, and this model has none");
    const folder = await mkdtemp(join(tmpdir(), "pare-distill-"));
    try {
      const request = { seed, ...requestOfOptions(options, model.path, join(folder, "student.gguf")), threads };
      await distill(request, { ...(signal && { signal }), ...(onProgress && { onProgress }) });
      return closing(await openModel(request.output), model, folder);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  },
};

/** The student, whose end is that of its folder and of its teacher, too. */
function closing(student: Model, teacher: Model, folder: string): Model {
  const close = async (): Promise<void> => {
    await student.close();
    await rm(folder, { recursive: true, force: true });
    await teacher.close();
  };
  return { ...student, close, [Symbol.asyncDispose]: close };
}
