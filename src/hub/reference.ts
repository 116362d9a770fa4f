// What a user writes for a model on the hub: `org/name`, `org/name@revision`, `hf:org/name`, or the address of its page.
import { UsageError } from "../errors.js";

/** A model on the hub. */
export interface HubReference {
  /** `org/name`. */
  readonly repository: string;
  /** Branch, tag or commit. */
  readonly revision: string;
  /** A file of it, where one is named. */
  readonly file?: string | undefined;
}

const PART = "[A-Za-z0-9][A-Za-z0-9._-]{0,95}";
const WRITTEN = new RegExp(`^(?:hf:)?(${PART}/${PART})(?:@([^@\\s:]+))?(?::(.+))?$`);
const ADDRESS = new RegExp(
  `^https?://[^/]+/(${PART}/${PART})(?:/(?:tree|blob|resolve)/([^/?]+)(?:/([^?]+))?)?/?(?:\\?.*)?$`,
);

/**
 * Reads a reference.
 *
 * @throws {UsageError} when it is none
 */
export function parseReference(text: string): HubReference {
  const match = ADDRESS.exec(text) ?? WRITTEN.exec(text);
  const [, repository, revision = "main", file] = match ?? [];
  if (repository === undefined || repository.includes("--") || repository.includes("..")) {
    throw new UsageError(`"${text}" is no model on the hub`, {
      hint: "Write it like HuggingFaceTB/SmolLM2-135M, with @revision or :file behind it where you want one",
    });
  }
  return withFile({ repository, revision }, file);
}

/**
 * The reference with a file of the repository, where one is given.
 *
 * @throws {UsageError} when the file or the revision could lead out of its folder
 */
export function withFile(reference: HubReference, file: string | undefined): HubReference {
  if (!isSafePath(reference.revision))
    throw new UsageError(`"${reference.revision}" is no revision`, { hint: REVISION });
  if (file === undefined) return reference;
  if (isSafePath(file)) return { ...reference, file };
  throw new UsageError(`"${file}" is no file of a repository`, { hint: "Write its path from the repository's root" });
}

const REVISION = "Name a branch, a tag or a commit";

/** True for what `parseReference` reads. A path with more or fewer slashes than one is none, and `./a` is not. */
export function isReference(text: string): boolean {
  return ADDRESS.test(text) || WRITTEN.test(text);
}

/** False for a path that leads out of its folder. */
export function isSafePath(path: string): boolean {
  const parts = path.split("/");
  return !/[\\\0:]/.test(path) && parts.every((part) => part !== "" && part !== "." && part !== "..");
}
