// `config.json` of a checkpoint, read value by value: each is of the type that is asked for, or the error names it.
import { FormatError } from "../../errors.js";
import { type JsonObject, isJsonObject } from "./json-file.js";

/** A configuration, or a section of one. Absent and `null` are the same. */
export class Config {
  constructor(
    /** The file it is from. */
    readonly path: string,
    readonly values: JsonObject,
    /** Where in the file it is: `text_config.` or nothing. */
    readonly prefix = "",
  ) {}

  has(key: string): boolean {
    return (this.values[key] ?? undefined) !== undefined;
  }

  /** A whole number of at least 0. @throws {FormatError} when it is absent or anything else */
  count(key: string): number {
    return this.optionalCount(key) ?? this.#absent(key);
  }

  optionalCount(key: string): number | undefined {
    return this.#typed(key, "a count", (value) => Number.isSafeInteger(value) && (value as number) >= 0);
  }

  /** @throws {FormatError} when it is absent or no finite number */
  number(key: string): number {
    return this.optionalNumber(key) ?? this.#absent(key);
  }

  optionalNumber(key: string): number | undefined {
    return this.#typed(key, "a number", (value) => Number.isFinite(value));
  }

  text(key: string): string | undefined {
    return this.#typed(key, "a text", (value) => typeof value === "string");
  }

  flag(key: string): boolean | undefined {
    return this.#typed(key, "true or false", (value) => typeof value === "boolean");
  }

  numbers(key: string): number[] | undefined {
    return this.#typed(key, "a list of numbers", (value) => Array.isArray(value) && value.every(Number.isFinite));
  }

  texts(key: string): string[] | undefined {
    const isText = (value: unknown) => typeof value === "string";
    return this.#typed(key, "a list of texts", (value) => Array.isArray(value) && value.every(isText));
  }

  section(key: string): Config | undefined {
    const values = this.#typed<JsonObject>(key, "an object", isJsonObject);
    return values && new Config(this.path, values, `${this.prefix}${key}.`);
  }

  /** The same configuration with a section's values in place of its own, and defaults for what neither has. */
  merged(section: Config | undefined, defaults: JsonObject = {}): Config {
    const own = withoutNulls(this.values);
    return new Config(this.path, { ...defaults, ...own, ...withoutNulls(section?.values ?? {}) });
  }

  /** The error for a value that is there and can't be used. */
  failure(key: string, wanted: string): FormatError {
    const found = JSON.stringify(this.values[key]) ?? "absent";
    return new FormatError(
      this.path,
      `Cannot read "${this.path}": ${this.prefix}${key} is ${found}, ${wanted} is wanted`,
    );
  }

  #typed<Value>(key: string, wanted: string, accepts: (value: unknown) => boolean): Value | undefined {
    const value = this.values[key] ?? undefined;
    if (value === undefined || accepts(value)) return value as Value | undefined;
    throw this.failure(key, wanted);
  }

  #absent(key: string): never {
    throw new FormatError(this.path, `Cannot read "${this.path}": ${this.prefix}${key} is absent`, {
      hint: "The configuration is not that of a model of this family",
    });
  }
}

function withoutNulls(values: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
}
