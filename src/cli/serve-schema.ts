// The document of `pare serve`.
import { z } from "zod";

const sizeBytes = z.number().int().nonnegative();

export const serveSchema = z
  .object({
    url: z.string().describe("where the server listens"),
    models: z.array(
      z.object({
        name: z.string().describe("what requests call it"),
        contextLength: z.number().int().describe("tokens of one conversation at most"),
        parallel: z.number().int().describe("answers at once"),
        kvCacheBytes: sizeBytes.describe("bytes of all conversations' caches, set up at the start"),
      }),
    ),
  })
  .describe("what `pare serve --json` prints when it listens");

export const studioSchema = z
  .object({ url: z.string().describe("where the page is, on this machine only") })
  .describe("what `pare studio --json` prints when it listens");
