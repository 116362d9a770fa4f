// JSON in the one form that RFC 8785 (JSON Canonicalization Scheme, 2020) defines: no white space, keys in the order of their
// UTF-16 code units, numbers and strings as ECMAScript writes them. The same document always gives the same bytes, so it can be
// hashed and signed.

/**
 * Writes a value in canonical form. Keys whose value is undefined are left out, as JSON.stringify does.
 *
 * @throws {TypeError} for what JSON can't hold: numbers that are not finite, texts with half a surrogate pair
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, field]) => `${scalar(key)}:${canonicalJson(field)}`);
    return `{${fields.join(",")}}`;
  }
  return scalar(value);
}

function scalar(value: unknown): string {
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`JSON has no number ${value}`);
  if (typeof value === "string" && /\p{Surrogate}/u.test(value))
    throw new TypeError("JSON text has half a surrogate pair");
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) throw new TypeError(`JSON can't hold a ${typeof value}`);
  return text;
}
