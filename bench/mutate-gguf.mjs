// Damages GGUF files on purpose, seeded: headers, counts, offsets, types, lengths, strings and truncations. Used by
// `bench/gguf-mutations.mjs` and by a sample of it in the tests.

/** Numbers that break readers: ends of ranges, signs, powers of two, sizes that overflow when multiplied. */
const EDGES_32 = [0, 1, 4, 5, 12, 13, 31, 0x7f, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff];
const EDGES_64 = [
  0n,
  1n,
  2n,
  7n,
  31n,
  255n,
  65535n,
  1n << 20n,
  1n << 31n,
  1n << 32n,
  1n << 40n,
  1n << 53n,
  (1n << 61n) + 1n,
].concat([(1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n, (1n << 64n) - 32n]);

const KINDS = ["header", "uint32", "uint64", "bytes", "bits", "truncate", "grow", "splice", "string", "noise"];

/**
 * A damaged copy of a file.
 *
 * @param {Uint8Array} original
 * @param {{ next(): number, integer(below: number): number }} random
 * @param {{ headerBytes: number, fields: readonly number[] }} layout where the header ends, and offsets worth aiming at
 * @returns {{ kind: string, bytes: Uint8Array }}
 */
export function mutateGguf(original, random, layout) {
  const kind = KINDS[random.integer(KINDS.length)];
  let bytes = original.slice();
  const times = random.next() < 0.6 ? 1 : 2 + random.integer(2);
  for (let i = 0; i < times; i++) bytes = MUTATIONS[kind](bytes, random, layout);
  return { kind, bytes };
}

const MUTATIONS = {
  /** Magic, version and the two counts. */
  header(bytes, random) {
    if (bytes.length < 24) return bytes;
    const field = random.integer(4);
    if (field < 2) viewOf(bytes).setUint32(4 * field, pick(random, [...EDGES_32, 1, 2, 3, 0x03000000]), true);
    else viewOf(bytes).setBigUint64(8 * (field - 1), pick(random, EDGES_64), true);
    return bytes;
  },
  uint32(bytes, random, layout) {
    const offset = aim(bytes, random, layout, 4);
    if (offset >= 0) viewOf(bytes).setUint32(offset, pick(random, EDGES_32), true);
    return bytes;
  },
  uint64(bytes, random, layout) {
    const offset = aim(bytes, random, layout, 8);
    if (offset >= 0) viewOf(bytes).setBigUint64(offset, pick(random, EDGES_64), true);
    return bytes;
  },
  bytes(bytes, random, layout) {
    const offset = aim(bytes, random, layout, 1);
    if (offset < 0) return bytes;
    const end = Math.min(offset + 1 + random.integer(8), bytes.length);
    for (let i = offset; i < end; i++) bytes[i] = random.integer(256);
    return bytes;
  },
  bits(bytes, random, layout) {
    const offset = aim(bytes, random, layout, 1);
    if (offset >= 0) bytes[offset] ^= 1 << random.integer(8);
    return bytes;
  },
  truncate(bytes, random, layout) {
    const limit = random.next() < 0.7 ? Math.min(layout.headerBytes, bytes.length) : bytes.length;
    return bytes.slice(0, random.integer(limit + 1));
  },
  grow(bytes, random) {
    const grown = new Uint8Array(bytes.length + 1 + random.integer(4096));
    grown.set(bytes);
    return grown;
  },
  /** Copies one stretch of the header over another: duplicates keys, names and whole entries. */
  splice(bytes, random, layout) {
    const end = Math.min(layout.headerBytes, bytes.length);
    if (end < 2) return bytes;
    const length = 1 + random.integer(Math.min(128, end - 1));
    const [from, to] = [random.integer(end - length + 1), random.integer(end - length + 1)];
    bytes.copyWithin(to, from, from + length);
    return bytes;
  },
  /** Puts bytes that are no UTF-8, and zeros, where text stands. */
  string(bytes, random, layout) {
    const offset = aim(bytes, random, layout, 4);
    if (offset >= 0)
      bytes.set(
        pick(random, [
          [0xff, 0xfe, 0xfd, 0xfc],
          [0xc3, 0x28, 0xa0, 0xa1],
          [0, 0, 0, 0],
          [0xed, 0xa0, 0x80, 0],
        ]),
        offset,
      );
    return bytes;
  },
  /** Random bytes from some place on. */
  noise(bytes, random, layout) {
    const start = random.integer(Math.min(layout.headerBytes, bytes.length) + 1);
    for (let i = start; i < Math.min(layout.headerBytes, bytes.length); i++) bytes[i] = random.integer(256);
    return bytes;
  },
};

/** An offset for `size` bytes: a known field, or anywhere in the header; −1 when the file is too short. */
function aim(bytes, random, layout, size) {
  const end = Math.min(layout.headerBytes, bytes.length) - size;
  if (end < 0) return -1;
  const field = pick(random, layout.fields);
  return random.next() < 0.6 && field <= end ? field : random.integer(end + 1);
}

function pick(random, items) {
  return items[random.integer(items.length)];
}

function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
