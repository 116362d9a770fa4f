// Random weights for models whose speed or memory is measured: they know nothing, they only have a shape.
import { Random } from "../dist/support/random.js";

/** Seeded halves, roughly normal with deviation 0.02: a sum of four uniform numbers, rounded to 10 bits of mantissa. */
export function randomHalves(shape, name) {
  const random = new Random(7).fork(name);
  const count = shape.reduce((product, length) => product * length, 1);
  const halves = new Uint16Array(count);
  const single = new Float32Array(1);
  const bits = new Uint32Array(single.buffer);
  for (let i = 0; i < count; i++) {
    single[0] = (random.next() + random.next() + random.next() + random.next() - 2) * 0.035;
    const exponent = ((bits[0] >>> 23) & 0xff) - 112;
    halves[i] = exponent <= 0 ? 0 : ((bits[0] >>> 16) & 0x8000) | (exponent << 10) | ((bits[0] >>> 13) & 0x3ff);
  }
  return new Uint8Array(halves.buffer);
}
