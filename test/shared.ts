// Real models and data that lie beside a developer's checkout. Tests that need them are skipped where they are absent.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Path of a model in `../shared/models`, or undefined where it is absent. */
export function sharedModel(name: string): string | undefined {
  return beside(`models/${name}`);
}

/** Path of a file or folder in `../shared/data`, or undefined where it is absent. */
export function sharedData(name: string): string | undefined {
  return beside(`data/${name}`);
}

function beside(relative: string): string | undefined {
  const path = fileURLToPath(new URL(`../../shared/${relative}`, import.meta.url));
  return existsSync(path) ? path : undefined;
}
