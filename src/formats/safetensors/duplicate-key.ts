// JSON.parse keeps the last of two equal keys and says nothing. A header in which a tensor stands twice is refused, so
// the keys are looked at once more, in text that is known to be sound JSON.

/** The first key of the outermost object that stands there twice, or undefined. */
export function duplicateKey(json: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    const letter = json[at]!;
    if (letter === "{" || letter === "[") depth++;
    else if (letter === "}" || letter === "]") depth--;
    else if (letter === '"') {
      const end = endOfString(json, at);
      if (depth === 1 && isKey(json, end)) {
        const key = JSON.parse(json.slice(at, end)) as string;
        if (seen.has(key)) return key;
        seen.add(key);
      }
      at = end - 1;
    }
  }
  return undefined;
}

/** Where the string that starts at `at` ends, behind its quotation mark. */
function endOfString(json: string, at: number): number {
  let end = at + 1;
  while (json[end] !== '"') end += json[end] === "\\" ? 2 : 1;
  return end + 1;
}

function isKey(json: string, end: number): boolean {
  while (/\s/.test(json[end]!)) end++;
  return json[end] === ":";
}
