// Quantiles of the normal and of Student's distribution, for confidence intervals. Series and closed forms, no tables.

/** The z with `confidence` of a standard normal between -z and z, such as 1.96 for 0.95. */
export function twoSidedNormal(confidence: number): number {
  return normalQuantile((1 + confidence) / 2);
}

/**
 * The p-quantile of a standard normal, by Newton's method on the distribution's series (Marsaglia, 2004, "Evaluating the
 * normal distribution"). Good to 12 digits for p within 1e-12 of the ends.
 */
export function normalQuantile(p: number): number {
  requireShare(p);
  if (p < 0.5) return -normalQuantile(1 - p);
  let z = 0;
  for (let i = 0; i < 100; i++) {
    const density = Math.exp(-0.5 * z * z) / Math.sqrt(2 * Math.PI);
    const step = (p - normalShareBelow(z, density)) / density;
    z += step;
    if (Math.abs(step) < 1e-14) break;
  }
  return z;
}

/**
 * The p-quantile of Student's t. Up to 200 degrees of freedom by bisection on the closed form for whole degrees
 * (Abramowitz and Stegun, 26.7.3 and 26.7.4), beyond that by their expansion 26.7.5.
 *
 * @param degrees of freedom, a whole number from 1
 */
export function studentQuantile(p: number, degrees: number): number {
  requireShare(p);
  if (p < 0.5) return -studentQuantile(1 - p, degrees);
  if (degrees > 200) {
    const z = normalQuantile(p);
    const first = (z ** 3 + z) / 4;
    const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
    const third = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
    return z + first / degrees + second / degrees ** 2 + third / degrees ** 3;
  }
  let low = 0; // in angles: t = √degrees · tan(angle)
  let high = Math.PI / 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (studentShareWithin(middle, degrees) < 2 * p - 1) low = middle;
    else high = middle;
  }
  return Math.sqrt(degrees) * Math.tan(low);
}

function normalShareBelow(z: number, density: number): number {
  let term = z;
  let sum = z;
  for (let k = 3; Math.abs(term) > 1e-17 * Math.abs(sum); k += 2) {
    term *= (z * z) / k;
    sum += term;
  }
  return 0.5 + density * sum;
}

/** The share of Student's t between -t and t, with t = √degrees · tan(angle). */
function studentShareWithin(angle: number, degrees: number): number {
  const cosineSquared = Math.cos(angle) ** 2;
  const isOdd = degrees % 2 === 1;
  let term = isOdd ? Math.cos(angle) : 1;
  let sum = degrees === 1 ? 0 : term;
  for (let k = isOdd ? 3 : 2; k <= degrees - 2; k += 2) {
    term *= ((k - 1) / k) * cosineSquared;
    sum += term;
  }
  return isOdd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
}

function requireShare(p: number): void {
  if (!(p > 0 && p < 1)) throw new RangeError(`Cannot take the ${p}-quantile: it must lie between 0 and 1`);
}
