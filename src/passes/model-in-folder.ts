// A pass that learns writes a file: the model that comes out lies in a folder of its own, which lasts until it is closed.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { UsageError } from "../errors.js";
import type { Model } from "../model/model.js";
import { openModel } from "../model/open.js";

/**
 * A model that is made from another's file.
 *
 * @param make writes it into the folder, and tells its path
 * @returns the model; closing it removes the folder and closes the source, too
 * @throws {UsageError} when the source has no file
 */
export async function modelInFolder(
  source: Model,
  make: (path: string, folder: string) => Promise<string>,
): Promise<Model> {
  if (source.path === undefined) throw new UsageError("A model is wanted as a file, and this one has none");
  const folder = await mkdtemp(join(tmpdir(), "pare-pass-"));
  try {
    return closing(await openModel(await make(source.path, folder)), source, folder);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

function closing(made: Model, source: Model, folder: string): Model {
  const close = async (): Promise<void> => {
    await made.close();
    await rm(folder, { recursive: true, force: true });
    await source.close();
  };
  return { ...made, close, [Symbol.asyncDispose]: close };
}
