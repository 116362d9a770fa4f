// The search that every greedily chosen token waits for.

const EXPONENT_ALL_ONES = 0x7f800000; // infinity; larger bits are NaN

/**
 * Index of the highest value, the first of equals; a NaN is never higher.
 *
 * Positive floats sort like their bits read as integers, and negative ones are negative integers, so where anything is
 * positive the bits are compared: that takes half the time, as nothing is converted. Eight at once, because hardly any is
 * higher than the highest so far.
 */
export function argmax(values: Float32Array): number {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  let best = -1;
  let highest = 0; // the bits of zero
  const look = (from: number, until: number): void => {
    for (let i = from; i < until; i++) {
      if (bits[i]! > highest) {
        highest = bits[i]!;
        best = i;
      }
    }
  };
  const end = bits.length & ~7;
  for (let i = 0; i < end; i += 8) {
    if (
      bits[i]! > highest ||
      bits[i + 1]! > highest ||
      bits[i + 2]! > highest ||
      bits[i + 3]! > highest ||
      bits[i + 4]! > highest ||
      bits[i + 5]! > highest ||
      bits[i + 6]! > highest ||
      bits[i + 7]! > highest
    ) {
      look(i, i + 8);
    }
  }
  look(end, bits.length);
  return best < 0 || highest > EXPONENT_ALL_ONES ? argmaxOfAny(values) : best;
}

/** Nothing positive, or a NaN among them: as floats. */
function argmaxOfAny(values: Float32Array): number {
  let best = 0;
  let highest = values[0]!;
  for (let i = 1; i < values.length; i++) {
    if (values[i]! > highest || (Number.isNaN(highest) && !Number.isNaN(values[i]!))) {
      highest = values[i]!;
      best = i;
    }
  }
  return best;
}
