// The document of `pare cost`.
import { z } from "zod";

import { costSchema } from "../cost/cost.js";

export const costDocumentSchema = z
  .object({
    model: z.string(),
    costs: z
      .array(costSchema.extend({ misfit: z.string().optional().describe("why it does not fit the device") }))
      .describe("one for each --device"),
  })
  .describe("what `pare cost --json` prints");
