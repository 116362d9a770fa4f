// Which files a certificate speaks of, and what was in them.
import { stat } from "node:fs/promises";

import type { z } from "zod";

import { sha256File } from "../support/files.js";
import type { BaseModel } from "./candidates.js";
import type { fileSchema } from "./certificate.js";
import { isDeviceFile } from "./device.js";
import type { FitRequest } from "./request.js";
import type { Yardstick } from "./yardstick.js";

export type FileRecord = z.infer<typeof fileSchema>;

/** @param known its hash, where that is known */
export async function recordFile(
  role: string,
  path: string,
  signal?: AbortSignal,
  known?: string,
): Promise<FileRecord> {
  const { size } = await stat(path);
  return { role, path, sizeBytes: size, sha256: known ?? (await sha256File(path, signal)) };
}

/**
 * Every file that the fit of a request reads, the parts of a split model one by one, and an adapter beside its model. A shipped device is none.
 *
 * @param task the files that it was read from, none for a built-in suite, the hash of what they hold, and who judges
 */
export async function recordInputs(
  { text = [], calibrate = [], importance, device }: FitRequest,
  bases: readonly BaseModel[],
  task: Pick<Yardstick, "files" | "sha256" | "judges">,
  signal?: AbortSignal,
): Promise<FileRecord[]> {
  const models = bases.flatMap(({ sources, sha256 }) =>
    sources.map(({ role, path }): [string, string, string?] => [role, path, sources.length === 1 ? sha256 : undefined]),
  );
  const files: [string, string | undefined, string?][] = [
    ...models,
    ...task.files.map((path): [string, string, string?] => [
      "task",
      path,
      task.files.length === 1 ? task.sha256 : undefined,
    ]),
    ...judgeFiles(task).map((path): [string, string] => ["judge", path]),
    ...text.map((path): [string, string] => ["text", path]),
    ...calibrate.map((path): [string, string] => ["calibration", path]),
    ["importance", importance],
    ["device", isDeviceFile(device) ? device : undefined],
  ];
  const records: FileRecord[] = [];
  for (const [role, path, known] of files) {
    if (path !== undefined) records.push(await recordFile(role, path, signal, known));
  }
  return records;
}

/** The judges that are files, each once. */
export function judgeFiles({ judges }: Pick<Yardstick, "judges">): string[] {
  return [...new Set(judges.flatMap(({ endpoint, model }) => (endpoint === undefined ? [model] : [])))];
}
