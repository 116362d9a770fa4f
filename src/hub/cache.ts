// Hugging Face's cache, so that what Pare downloads is found by other tools and the other way round:
// `models--org--name/` has `refs/<revision>` (a commit), `blobs/<hash>` and `snapshots/<commit>/<path>`, links to blobs.
// https://huggingface.co/docs/huggingface_hub/guides/manage-cache
import { copyFile, link, mkdir, readFile, stat, symlink } from "node:fs/promises";
import { dirname, join, relative } from "node:path";

import { writeFileAtomic, writeFailure } from "../support/files.js";
import type { HubFile } from "./list-files.js";

/** A repository's folder in the cache. */
export class RepositoryCache {
  readonly folder: string;

  constructor(cache: string, repository: string) {
    this.folder = join(cache, `models--${repository.replaceAll("/", "--")}`);
  }

  /** Where the files of a commit are. */
  snapshot(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  /** Where a file's bytes are, named by their hash. */
  blob({ hash }: HubFile): string {
    return join(this.folder, "blobs", hash.hex);
  }

  /** The commit that a revision was at when it was last asked for; a commit is its own. */
  async commitOf(revision: string): Promise<string | undefined> {
    if (/^[0-9a-f]{40}$/.test(revision)) return revision;
    const text = await readFile(join(this.folder, "refs", ...revision.split("/")), "utf8").catch(() => "");
    return /^[0-9a-f]{40}$/.test(text.trim()) ? text.trim() : undefined;
  }

  async rememberCommit(revision: string, commit: string): Promise<void> {
    if (revision !== commit) await writeFileAtomic(join(this.folder, "refs", ...revision.split("/")), commit);
  }

  /** True when a file of a commit is there with its whole size. */
  async has(commit: string, file: Pick<HubFile, "path" | "sizeBytes">): Promise<boolean> {
    return (await sizeOf(join(this.snapshot(commit), file.path))) === file.sizeBytes;
  }

  /** Puts a blob under its name in the snapshot: a link, or a copy where the system has none. */
  async place(commit: string, file: HubFile): Promise<void> {
    const target = join(this.snapshot(commit), file.path);
    const blob = this.blob(file);
    try {
      await mkdir(dirname(target), { recursive: true });
      await symlink(relative(dirname(target), blob), target).catch(async (cause: NodeJS.ErrnoException) => {
        if (cause.code === "EEXIST") return;
        await link(blob, target).catch(() => copyFile(blob, target)); // Windows lets not everyone make symbolic links
      });
    } catch (cause) {
      throw writeFailure(target, cause);
    }
  }
}

/** Bytes of a file, links followed; undefined when there is none. */
export async function sizeOf(path: string): Promise<number | undefined> {
  const stats = await stat(path).catch(() => undefined);
  return stats?.isFile() ? stats.size : undefined;
}
