// Where a checkpoint's folder is from. Hugging Face's cache has both in its path: `models--org--name/snapshots/<commit>`.
import { basename, dirname, resolve } from "node:path";

/** Where a model is from. */
export interface Origin {
  /** The folder's name. */
  readonly name: string;
  /** `org/name` on the hub. */
  readonly repository?: string | undefined;
  /** Its page. */
  readonly url?: string | undefined;
  /** The commit. */
  readonly revision?: string | undefined;
}

export function originOf(folder: string): Origin {
  const path = resolve(folder);
  const name = basename(path);
  const snapshots = dirname(path);
  const [, ...parts] = basename(dirname(snapshots)).split("--");
  const isCache = basename(snapshots) === "snapshots" && basename(dirname(snapshots)).startsWith("models--");
  if (!isCache || parts.length === 0) return { name };
  const repository = parts.join("/");
  return { name: parts.at(-1)!, repository, url: `https://huggingface.co/${repository}`, revision: name };
}
