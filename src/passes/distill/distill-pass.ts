// Distillation as a pass: the model is the teacher, what comes out is the student.
import { join } from "node:path";

import { modelInFolder } from "../model-in-folder.js";
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
    return modelInFolder(model, async (teacher, folder) => {
      const request = { seed, ...requestOfOptions(options, teacher, join(folder, "student.gguf")), threads };
      await distill(request, { ...(signal && { signal }), ...(onProgress && { onProgress }) });
      return request.output;
    });
  },
};
