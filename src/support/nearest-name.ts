// What a mistyped name was probably meant to be.

/**
 * The known name that is nearest to what was typed, or undefined when none is near.
 *
 * A name that contains the typed text counts as near; otherwise at most a third of the letters may differ (Levenshtein).
 */
export function nearestName(typed: string, known: readonly string[]): string | undefined {
  const wanted = typed.toLowerCase();
  const containing = known.filter((name) => wanted.length >= 2 && name.toLowerCase().includes(wanted));
  if (containing.length > 0) return containing.reduce((a, b) => (b.length < a.length ? b : a));
  let best: { name: string; distance: number } | undefined;
  for (const name of known) {
    const distance = editDistance(wanted, name.toLowerCase());
    if (distance <= Math.max(wanted.length, name.length) / 3 && distance < (best?.distance ?? Infinity)) {
      best = { name, distance };
    }
  }
  return best?.name;
}

function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substituted, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}
