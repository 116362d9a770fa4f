// Adapting as a pass: what comes out is the model with the adapter merged into it, or the model that was trained itself.
import { join } from "node:path";

import { modelInFolder } from "../model-in-folder.js";
import type { Pass } from "../pass.js";
import { adapt } from "./adapt.js";
import { type AdaptOptions, adaptOptionsSchema, requestOfOptions } from "./adapt-options.js";

/** Has a model learn from text. The result lies in a file of its own until it is closed. */
export const adaptPass: Pass<AdaptOptions> = {
  name: "adapt",
  summary: "Has the model learn from text, as a low-rank adapter that is merged into it or in all of its weights",
  paper: "https://arxiv.org/abs/2106.09685",
  options: adaptOptionsSchema,
  async apply(model, options, { threads, seed, signal, onProgress }) {
    return modelInFolder(model, async (path, folder) => {
      const merge = options.method === "full" ? undefined : join(folder, "merged.gguf");
      const request = requestOfOptions(options, { model: path, output: join(folder, "learned.gguf"), merge, threads });
      await adapt({ seed, ...request }, { ...(signal && { signal }), ...(onProgress && { onProgress }) });
      return merge ?? request.output;
    });
  },
};
