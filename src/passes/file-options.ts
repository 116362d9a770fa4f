// Files in the options of a pass: how a recipe names them, and where they are found from.
import { z } from "zod";

/** A file that a recipe names, and what it held. */
export interface FileOption {
  file: string;
  sha256?: string | undefined;
}
type Files = FileOption | FileOption[] | undefined;

/** The short form, a file alone, as the long one. */
export function fileAlone(value: unknown): unknown {
  return typeof value === "string" ? { file: value } : value;
}

export const fileShape = {
  file: z.string().min(1).describe("relative to the recipe's folder"),
  sha256: z.string().optional(),
};

/** A file, or a file with its hash. */
export const fileOption = z.preprocess(fileAlone, z.strictObject(fileShape));
export const fileOptions = z.array(fileOption).min(1);

/** The paths of a list. */
export function pathsOf(files: readonly FileOption[] | undefined): string[] | undefined {
  return files?.map(({ file }) => file);
}

/** All files that stand under some keys of a pass's options. */
export function filesUnder<Key extends string>(
  keys: readonly Key[],
  options: { readonly [Each in Key]?: Files },
): FileOption[] {
  return keys.flatMap((key) => options[key] ?? []);
}

/** The options with other paths for the files that stand under some keys. */
export function withPaths<Key extends string, Options extends { readonly [Each in Key]?: Files }>(
  keys: readonly Key[],
  options: Options,
  pathOf: (path: string) => string,
): Options {
  const moved = (one: FileOption): FileOption => ({ ...one, file: pathOf(one.file) });
  const entries = keys.flatMap((key): [Key, Files][] => {
    const files = options[key];
    return files ? [[key, Array.isArray(files) ? files.map(moved) : moved(files)]] : [];
  });
  return { ...options, ...Object.fromEntries(entries) };
}
