// Words of a command that a reader may paste into a shell.

/** A word for a POSIX shell, whatever it holds. */
export function shellQuote(word: string): string {
  return /^[\w./+-]+$/.test(word) && !word.startsWith("-") ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
