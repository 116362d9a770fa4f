// Aligned text for people: tables, and lists of names with values. No control characters.

/** Columns in which numbers stand, to be aligned at their right end. */
export type Alignment = "left" | "right";

/** Lines up rows of cells in columns two spaces apart; a header, when given, is underlined. */
export function renderTable(rows: readonly (readonly string[])[], options: TableOptions = {}): string {
  const all = options.header ? [options.header, ...rows] : rows;
  const columnCount = Math.max(0, ...all.map((row) => row.length));
  const widths = Array.from({ length: columnCount }, (_, i) => Math.max(...all.map((row) => width(row[i] ?? ""))));
  const line = (row: readonly string[]): string =>
    widths
      .map((columns, i) => padded(row[i] ?? "", columns, options.align?.[i] ?? "left"))
      .join("  ")
      .trimEnd();
  const lines = rows.map(line);
  if (options.header) lines.unshift(line(options.header), widths.map((columns) => "-".repeat(columns)).join("  "));
  return lines.join("\n");
}

export interface TableOptions {
  header?: readonly string[];
  align?: readonly Alignment[];
}

/** A list of names and values; entries without a value are left out. */
export function renderFacts(facts: readonly (readonly [name: string, value: string | undefined])[]): string {
  return renderTable(facts.filter(([, value]) => value !== undefined) as [string, string][]);
}

/** What a terminal would do something about, taken out: names in model files are not to be trusted. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "\u{fffd}");
}

function padded(text: string, columns: number, alignment: Alignment): string {
  const space = " ".repeat(columns - width(text));
  return alignment === "right" ? space + text : text + space;
}

function width(text: string): number {
  return [...text].length;
}
