// Which files hold a task: cases alone (JSON Lines, CSV, TSV, Parquet), a YAML header beside them, a folder with both, a task of
// lm-evaluation-harness, or `suite:NAME` for one that Pare makes itself.
import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";

import { FormatError, messageOf } from "../../errors.js";
import { sha256 } from "../../support/files.js";
import { isSuitePath, suiteTask } from "../suites/suite-task.js";
import { type Task, type TaskDefaults, taskOf } from "../task.js";
import { readHarnessTask } from "./harness.js";
import { type TaskHeader, parseHeader, rowsUnderHeader } from "./task-header.js";
import { ROW_FORMATS, readRows } from "./task-rows.js";
import { isHarnessTask, parseYaml } from "./yaml-file.js";

const HEADER_NAMES = ["task.yaml", "task.yml"];

/** Remembers every file that is read, with its hash. */
export class ReadFiles {
  readonly #hashes = new Map<string, string>();

  /** @throws {FormatError} when the file can't be read */
  async read(path: string): Promise<Buffer> {
    try {
      const bytes = await readFile(path);
      this.#hashes.set(path, sha256(bytes));
      return bytes;
    } catch (error) {
      const isAbsent = (error as NodeJS.ErrnoException).code === "ENOENT";
      throw new FormatError(path, `Cannot read task "${path}": ${isAbsent ? "no such file" : messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Of one file its hash, of several the hash of theirs. */
  get summary(): { sha256: string; files: string[] } {
    const hashes = [...this.#hashes.values()];
    return {
      sha256: hashes.length === 1 ? hashes[0]! : sha256(hashes.map((hash) => `${hash}\n`).join("")),
      files: [...this.#hashes.keys()],
    };
  }
}

/**
 * Reads a task.
 *
 * @param path a file or folder, or `suite:NAME`
 * @throws {FormatError} with the line's number when a case is not what it should be
 * @throws {UsageError} when the default scorer or the suite is unknown
 */
export async function readTask(path: string, defaults: TaskDefaults = {}): Promise<Task> {
  if (isSuitePath(path)) return suiteTask(path, defaults);
  const files = new ReadFiles();
  const place = await mainFile(path);
  if (!/\.ya?ml$/u.test(place)) {
    const rows = await readRows(place, files);
    const task = taskOf(rows, { ...defaults, path: place });
    await readOwnScorers(task, files);
    return { ...task, path, ...files.summary };
  }
  const yaml = parseYaml((await files.read(place)).toString("utf8"), place);
  if (isHarnessTask(yaml)) return { ...(await readHarnessTask(place, {}, files, defaults)), path, ...files.summary };
  const header = parseHeader(yaml, place);
  const task = header.harness
    ? await readHarnessTask(place, header, files, defaults)
    : await readUnderHeader(place, header, files, defaults);
  await readOwnScorers(task, files);
  return { ...task, path, ...settingsOf(header), ...files.summary };
}

/** What the user's own modules say decides as much as the cases do, so they are of the task's files and in its hash. */
async function readOwnScorers({ cases }: Pick<Task, "cases">, files: ReadFiles): Promise<void> {
  const modules = new Set(cases.flatMap(({ scorer, score }) => (scorer === "function" && score ? [score] : [])));
  for (const module of modules) await files.read(module);
}

async function readUnderHeader(
  place: string,
  header: TaskHeader,
  files: ReadFiles,
  defaults: TaskDefaults,
): Promise<Omit<Task, "sha256">> {
  const { rows, shown } = await rowsUnderHeader(place, header, files);
  const task = taskOf(rows, { ...defaults, path: place, shown });
  return { ...task, name: header.name ?? task.name };
}

function settingsOf({ repeats, temperature, seed }: TaskHeader): Pick<Task, "repeats" | "temperature" | "seed"> {
  return {
    ...(repeats === undefined ? {} : { repeats }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(seed === undefined ? {} : { seed }),
  };
}

/** The file to begin with: of a folder its header, or its only file of cases. */
async function mainFile(path: string): Promise<string> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  ); // a file that is absent fails when read
  if (!isFolder) return path;
  const names = await readdir(path);
  const header = HEADER_NAMES.find((name) => names.includes(name));
  if (header !== undefined) return join(path, header);
  const cases = names.filter((name) => ROW_FORMATS.some((format) => name.endsWith(format)));
  if (cases.length === 1) return join(path, cases[0]!);
  const found =
    cases.length === 0 ? "neither a task.yaml nor a file of cases" : `no task.yaml and ${cases.length} files of cases`;
  throw new FormatError(path, `Cannot read task "${path}": the folder has ${found}`, {
    hint: `Add a task.yaml that names its cases, in ${ROW_FORMATS.join(", ")}`,
  });
}
