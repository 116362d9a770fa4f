// The document of `pare verify`.
import { z } from "zod";

export const verifySchema = z
  .object({
    certificate: z.string().describe("the file that was checked"),
    ok: z.boolean().describe("true when every check passed; the exit code is 1 otherwise"),
    verdict: z.string().describe("what the certificate says"),
    signedBy: z.string().optional().describe("first 16 digits of the SHA-256 of the key that it names as its signer's"),
    checks: z.array(z.object({ what: z.string(), ok: z.boolean(), found: z.string() })),
  })
  .describe("what `pare verify --json` prints");
