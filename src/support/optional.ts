// A field that is left out where its value is undefined, so that documents hold no empty fields.

/** `{ [key]: value }`, or `{}`. */
export function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
}
