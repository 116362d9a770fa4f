// The version in package.json, read once when asked for.
import { readFileSync } from "node:fs";

let version: string | undefined;

/** Pare's own version, such as `0.1.0`. */
export function packageVersion(): string {
  if (version === undefined) {
    const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
    version = (JSON.parse(text) as { version: string }).version;
  }
  return version;
}
