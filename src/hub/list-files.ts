// What a repository holds at a revision: its commit, and every file with its size and hash.
import { z } from "zod";

import { FormatError } from "../errors.js";
import type { HubClient } from "./client.js";
import { type HubReference, isSafePath } from "./reference.js";

/** A file of a repository. */
export interface HubFile {
  /** Below the repository's root, with forward slashes. */
  readonly path: string;
  readonly sizeBytes: number;
  /** Git's SHA-1 of the file, or SHA-256 of one that is stored outside git (LFS). */
  readonly hash: { readonly algorithm: "sha256" | "git"; readonly hex: string };
}

const COMMIT = /^[0-9a-f]{40}$/;
const PAGES_MAX = 1000;

const revisionSchema = z.object({ sha: z.string().regex(COMMIT) });
const treeSchema = z.array(
  z.object({
    type: z.string(),
    path: z.string(),
    oid: z.string(),
    size: z.number().int().nonnegative(),
    lfs: z.object({ oid: z.string().regex(/^[0-9a-f]{64}$/), size: z.number().int().nonnegative() }).optional(),
  }),
);

interface Options {
  signal?: AbortSignal | undefined;
}

/** The commit that a branch or tag is at. */
export async function commitOf(client: HubClient, reference: HubReference, options: Options): Promise<string> {
  const { repository, revision } = reference;
  const path = `/api/models/${repository}/revision/${encodeURIComponent(revision)}`;
  const what = revision === "main" ? `"${repository}"` : `"${repository}" at "${revision}"`;
  const response = await client.get(path, what, options as { signal?: AbortSignal });
  return (await parsed(response, revisionSchema)).sha;
}

/** Every file at a commit. */
export async function listFiles(
  client: HubClient,
  repository: string,
  commit: string,
  options: Options,
): Promise<HubFile[]> {
  const files: HubFile[] = [];
  let next: string | undefined = `/api/models/${repository}/tree/${commit}?recursive=true`;
  for (let page = 0; next !== undefined && page < PAGES_MAX; page++) {
    const response: Response = await client.get(next, `"${repository}"`, options as { signal?: AbortSignal });
    for (const { type, path, oid, size, lfs } of await parsed(response, treeSchema)) {
      if (type !== "file") continue;
      if (!isSafePath(path)) throw new FormatError(repository, `"${repository}" has a file with the path "${path}"`);
      const hash = lfs ? { algorithm: "sha256" as const, hex: lfs.oid } : gitHash(repository, path, oid);
      files.push({ path, sizeBytes: lfs?.size ?? size, hash });
    }
    next = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
  }
  return files;
}

function gitHash(repository: string, path: string, oid: string): HubFile["hash"] {
  if (COMMIT.test(oid)) return { algorithm: "git", hex: oid };
  throw new FormatError(repository, `"${repository}" has no hash for "${path}"`);
}

async function parsed<Value>(response: Response, schema: z.ZodType<Value>): Promise<Value> {
  const result = schema.safeParse(await response.json().catch(() => undefined));
  if (result.success) return result.data;
  throw new FormatError(response.url, `Cannot read the answer of "${response.url}": it is not what the hub answers`, {
    hint: "Check HF_ENDPOINT",
  });
}
