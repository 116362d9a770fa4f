// The model's file as exports take it: one GGUF on disk, given a second name beside what a runtime wants.
import { link, mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

import { PareError } from "../errors.js";
import type { Model } from "../model/model.js";
import { copyFileAtomic, writeFailure } from "../support/files.js";

/** The file of a model that is a single one on disk. @throws {PareError} when it is split or elsewhere */
export function onlyFile(model: Model): string {
  const [first, ...others] = model.parts ?? [];
  if (first !== undefined && others.length === 0 && !/^https?:/.test(first)) return first;
  throw new PareError(`Cannot export "${model.path}": it is no single file on disk`, {
    hint: "Join it first: pare quantize MODEL ONE.gguf --type copy",
  });
}

/** A second name for the file where the disk allows it, else a copy. */
export async function placeModel(file: string, target: string, signal: AbortSignal | undefined): Promise<void> {
  await mkdir(dirname(target), { recursive: true }).catch((cause: unknown) => {
    throw writeFailure(target, cause);
  });
  const [source, there] = [await stat(file), await stat(target).catch(() => undefined)];
  if (there?.ino === source.ino && there.dev === source.dev) return;
  const isLinked =
    !there &&
    (await link(file, target).then(
      () => true,
      () => false,
    ));
  if (!isLinked) await copyFileAtomic(file, target, signal);
}
