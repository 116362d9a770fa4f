// A scorer of one's own: the share of the first five primes that the answer names, in order. Allow it with --allow-code.
export function score(answer: string): { value: number; explanation?: string } {
  const primes = [2, 3, 5, 7, 11];
  const named = answer.match(/\d+/g)?.map(Number) ?? [];
  const right = primes.filter((prime, index) => named[index] === prime).length;
  return right === primes.length ? { value: 1 } : { value: right / primes.length, explanation: `${right} of 5 primes` };
}
