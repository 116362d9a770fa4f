// Whether a text holds what candidates are judged by, however a file writes it: as lines, or as strings of JSON or CSV.

/** Shorter passages may stand in two texts by chance. */
const TELLING_CHARACTERS = 24;

/** Passages that candidates are judged by, and those of them that stand in a text. */
export interface EvidenceLeak {
  found: number;
  passages: number;
}

/** Looks for passages of at least 24 characters, however their white space is written. */
export function evidenceLeak(passages: readonly string[], texts: readonly string[]): EvidenceLeak {
  const collapsed = texts.map(collapse);
  const telling = passages.filter(({ length }) => length >= TELLING_CHARACTERS);
  const isThere = (passage: string): boolean =>
    writtenForms(passage).some((form) => collapsed.some((text) => text.includes(form)));
  return { found: telling.filter(isThere).length, passages: telling.length };
}

function writtenForms(passage: string): string[] {
  const plain = collapse(passage);
  return [plain, collapse(JSON.stringify(passage).slice(1, -1)), plain.replaceAll('"', '""')];
}

function collapse(text: string): string {
  return text.replace(/\s+/gu, " ");
}
