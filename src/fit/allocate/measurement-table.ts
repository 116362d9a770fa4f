// Reads, merges and writes tables of measurements. Tables of different models, texts or roundings are never mixed.
import { readFile } from "node:fs/promises";

import { FormatError, UsageError, messageOf } from "../../errors.js";
import { writeFileAtomic } from "../../support/files.js";
import {
  type Divergence,
  MEASUREMENTS_FORMAT,
  MEASUREMENTS_VERSION,
  type Measurements,
  type Rounded,
  measurementsSchema,
} from "./measurement-schema.js";

/** What a table starts with, before anything is measured. */
export type MeasurementSetting = Pick<
  Measurements,
  "source" | "calibration" | "evaluation" | "rounding" | "seeds" | "versions"
>;

/** A table without measurements. */
export function emptyMeasurements(setting: MeasurementSetting): Measurements {
  return {
    format: MEASUREMENTS_FORMAT,
    version: MEASUREMENTS_VERSION,
    source: setting.source,
    calibration: setting.calibration,
    evaluation: setting.evaluation,
    rounding: setting.rounding,
    seeds: setting.seeds,
    versions: setting.versions,
    tensors: {},
    mixes: [],
    kvCache: [],
  };
}

/**
 * Reads a table.
 *
 * @param source the model that it must be of, where that is known
 * @throws {FormatError} when it can't be read, or a field of it is missing or wrong; the message names both
 * @throws {UsageError} when it is of another model
 */
export async function readMeasurements(path: string, source?: { readonly sha256: string }): Promise<Measurements> {
  const value = await readJson(path);
  const { format, version } = (value ?? {}) as Record<string, unknown>;
  if (format === MEASUREMENTS_FORMAT && version !== MEASUREMENTS_VERSION) {
    throw unreadable(path, `it is version ${JSON.stringify(version)}, ${MEASUREMENTS_VERSION} is wanted`);
  }
  const parsed = measurementsSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw unreadable(path, `field "${issue!.path.join(".")}": ${issue!.message}`);
  }
  if (source && parsed.data.source.sha256 !== source.sha256) {
    throw new UsageError(`Measurements "${path}" are of another model, with SHA-256 ${parsed.data.source.sha256}`, {
      hint: `This model's is ${source.sha256}; name another file, or remove this one to measure anew`,
    });
  }
  return parsed.data;
}

/** Writes a table, whole or not at all. */
export async function writeMeasurements(path: string, table: Measurements): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(measurementsSchema.parse(table), undefined, 1)}\n`);
}

/**
 * Both tables in one. Where both measured the same thing, the divergence from more tokens stays; of equals the newer.
 *
 * @throws {UsageError} when they are of different models, texts or roundings, and so can't be compared
 */
export function mergeMeasurements(older: Measurements, newer: Measurements): Measurements {
  const difference = differenceOf(older, newer);
  if (difference) {
    throw new UsageError(`Cannot merge measurements: they differ in ${difference}`, {
      hint: "Name another file for these, or measure with the same texts and options",
    });
  }
  const tensors: Measurements["tensors"] = { ...older.tensors };
  for (const [name, tensor] of Object.entries(newer.tensors)) {
    const types = { ...tensors[name]?.types };
    for (const [type, rounded] of Object.entries(tensor.types) as [keyof typeof types, Rounded][]) {
      types[type] = mergeRounded(types[type], rounded);
    }
    tensors[name] = { ...tensor, types };
  }
  return {
    ...newer,
    tensors,
    mixes: mergeLists(older.mixes, newer.mixes, ({ types }) => JSON.stringify(Object.entries(types).sort())),
    kvCache: mergeCaches(older.kvCache, newer.kvCache),
  };
}

/** What keeps two tables apart, as a phrase, or undefined where nothing does. */
export function differenceOf(a: MeasurementSetting, b: MeasurementSetting): string | undefined {
  if (a.source.sha256 !== b.source.sha256) return "the model";
  if (hashesOf(a.calibration) !== hashesOf(b.calibration)) return "the calibration texts";
  if (a.calibration.windows !== b.calibration.windows) return "the windows of calibration";
  if (a.calibration.contextLength !== b.calibration.contextLength) return "the context length of calibration";
  if (hashesOf(a.evaluation) !== hashesOf(b.evaluation)) return "the evaluation texts";
  if (a.evaluation.contextLength !== b.evaluation.contextLength) return "the context length of evaluation";
  const isSame = (one: object, other: object) =>
    JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort());
  if (!isSame(a.rounding, b.rounding)) return "how tensors are rounded";
  return isSame(a.seeds, b.seeds) ? undefined : "the seeds";
}

/** The cache measurements on windows of so many tokens: what a cache costs depends on how far attention looks back. */
export function cacheMeasurementsAt(
  { kvCache }: Pick<Measurements, "kvCache">,
  contextLength: number,
): Measurements["kvCache"] {
  return kvCache.filter((one) => one.contextLength === contextLength);
}

/** A table with further cache measurements, or the same one where they are of other texts than its own. */
export function withCacheMeasurements(
  table: Measurements,
  { evaluation }: Pick<MeasurementSetting, "evaluation">,
  measured: Measurements["kvCache"],
): Measurements {
  if (measured.length === 0 || hashesOf(table.evaluation) !== hashesOf(evaluation)) return table;
  return { ...table, kvCache: mergeCaches(table.kvCache, measured) };
}

function mergeCaches(older: Measurements["kvCache"], newer: Measurements["kvCache"]): Measurements["kvCache"] {
  return mergeLists(older, newer, (one) => `${one.contextLength} ${one.typeK} ${one.typeV}`);
}

function hashesOf({ texts }: Measurements["calibration"]): string {
  return texts.map(({ sha256 }) => sha256).join();
}

function mergeRounded(older: Rounded | undefined, newer: Rounded): Rounded {
  const layerError = newer.layerError ?? older?.layerError;
  const divergence = better(older?.divergence, newer.divergence);
  return { ...(layerError !== undefined && { layerError }), ...(divergence && { divergence }) };
}

function better(older: Divergence | undefined, newer: Divergence | undefined): Divergence | undefined {
  return older && newer ? (newer.tokens >= older.tokens ? newer : older) : (newer ?? older);
}

function mergeLists<One extends { divergence: Divergence }>(
  older: One[],
  newer: One[],
  key: (one: One) => string,
): One[] {
  const merged = new Map(older.map((one) => [key(one), one]));
  for (const one of newer) {
    const known = merged.get(key(one));
    if (!known || one.divergence.tokens >= known.divergence.tokens) merged.set(key(one), one);
  }
  return [...merged.values()];
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    throw unreadable(path, code === "ENOENT" ? "there is no such file" : messageOf(cause), cause);
  }
}

function unreadable(path: string, reason: string, cause?: unknown): FormatError {
  return new FormatError(path, `Cannot read measurements "${path}": ${reason}`, {
    hint: "A table is written by pare quantize --size; remove the file to measure anew",
    cause,
  });
}
