// Cases as rows of a file: JSON Lines, CSV, tab-separated values, Parquet.
import { FormatError, messageOf } from "../../errors.js";
import { type TaskRow, rowsOfLines, taskCaseSchema, textOf } from "../task.js";
import type { ReadFiles } from "./read-task.js";

/** Ends of the names of files that hold rows. */
export const ROW_FORMATS = [".jsonl", ".csv", ".tsv", ".parquet"] as const;

/**
 * Reads the rows of a file, each with its line: in a table the line it begins on, in Parquet its number.
 *
 * @throws {FormatError} when the file is damaged
 */
export async function readRows(path: string, files: ReadFiles): Promise<TaskRow[]> {
  const bytes = await files.read(path);
  if (/\.parquet$/iu.test(path)) return rowsOfParquet(bytes, path);
  if (/\.[ct]sv$/iu.test(path)) return rowsOfTable(bytes, path, /\.tsv$/iu.test(path) ? "\t" : ",");
  return [...rowsOfLines(bytes, path)];
}

async function rowsOfTable(bytes: Uint8Array, path: string, delimiter: string): Promise<TaskRow[]> {
  const { parse } = await import("csv-parse/sync");
  try {
    const records: { record: Record<string, string>; info: { lines: number } }[] = parse(textOf(bytes, path), {
      columns: (names: string[]) =>
        requireNames(
          names.map((name) => name.trim()),
          path,
        ),
      delimiter,
      info: true,
      skip_empty_lines: true,
    });
    return records.map(({ record, info }) => ({ line: info.lines, value: typed(record) }));
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw new FormatError(path, `Cannot read task "${path}": ${messageOf(cause)}`, { cause });
  }
}

function requireNames(names: string[], path: string): string[] {
  const repeated = names.find((name, index) => names.indexOf(name) < index);
  const problem =
    repeated !== undefined ? `two columns are called "${repeated}"` : names.includes("") ? "a column has no name" : "";
  if (problem === "") return names;
  throw new FormatError(path, `Cannot read task "${path}": ${problem}`, { hint: "The first line names the columns" });
}

/** Fields of a case that are text in every form of file. */
const TEXT_FIELDS = new Set([
  "id",
  "prompt",
  "expect",
  "scorer",
  "pattern",
  "normalize",
  "tolerance",
  "setup",
  "test",
  "language",
  "score",
]);

/** A cell that is empty is not there; lists, objects and numbers of a case are written in it as JSON. */
function typed(record: Record<string, string>): Record<string, unknown> {
  const cells = Object.entries(record).filter(([, cell]) => cell !== "");
  return Object.fromEntries(cells.map(([name, cell]) => [name, cellValue(name, cell)]));
}

function cellValue(name: string, cell: string): unknown {
  if (!(name in taskCaseSchema.shape) || TEXT_FIELDS.has(name)) return cell;
  try {
    return JSON.parse(cell) as unknown;
  } catch {
    return cell; // such as a single tag
  }
}

async function rowsOfParquet(bytes: Buffer, path: string): Promise<TaskRow[]> {
  const { parquetReadObjects } = await import("hyparquet");
  const { compressors } = await import("hyparquet-compressors");
  try {
    const file = Uint8Array.from(bytes).buffer;
    const rows = await parquetReadObjects({ file, compressors });
    return rows.map((row, index) => ({ line: index + 1, value: plainRow(row) }));
  } catch (cause) {
    throw new FormatError(
      path,
      `Cannot read task "${path}": it is no Parquet file that can be read: ${messageOf(cause)}`,
      { cause },
    );
  }
}

/** Parquet's 64-bit integers as numbers, empty cells left out, lists as lists. */
function plainRow(row: Record<string, unknown>): unknown {
  const entries = Object.entries(row).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(entries.map(([name, value]) => [name, plain(value)]));
}

function plain(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return Array.from(value as ArrayLike<unknown>, plain);
  if (value instanceof Date) return value.toISOString();
  return typeof value === "object" && value !== null ? plainRow(value as Record<string, unknown>) : value;
}
