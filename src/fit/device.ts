// Devices that a model must run on: what they hold and how fast they read it. A shipped name, a JSON file, or `this` for
// the machine at hand. The shipped files are in `devices/`, each number with its source; docs/devices.md explains them.
import { readFile, readdir } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";

import { FormatError, UsageError, messageOf } from "../errors.js";
import { nearestName } from "../support/nearest-name.js";
import { formatBytes, parseBytes } from "../support/units.js";
import { measureThisDevice } from "./this-device.js";

const bytes = sizeSchema('a number of bytes or a size such as "20MB"', (text) => parseBytes(text));
const bytesPerSecond = sizeSchema('a number of bytes per second or a rate such as "17GB/s"', (text) =>
  parseBytes(text.replace(/\/s\s*$/i, "")),
);

export const deviceSchema = z.object({
  $schema: z.string().optional(),
  name: z.string().min(1, "wanted some text"),
  memoryBytes: bytes.describe("memory of the device; of it, `memoryForModelsShare` is open to a model"),
  memoryForModelsShare: z
    .number()
    .gt(0, "wanted a share above 0 and up to 1")
    .max(1, "wanted a share above 0 and up to 1")
    .default(1)
    .describe("share of memoryBytes that a model may take, the rest is the system's; 1 when absent"),
  storageBytes: bytes.optional().describe("room for the model's file; no limit when absent"),
  bandwidthBytesPerSecond: bytesPerSecond.optional().describe("memory read bandwidth, as specified or measured"),
  bandwidthSource: z
    .enum(["specified", "measured"])
    .default("specified")
    .describe("a specified bandwidth is never reached in full, a measured one is what reading gives"),
  flopsPerSecond: z
    .number()
    .positive("wanted a positive number")
    .optional()
    .describe("arithmetic rate for matrix products at half or single precision; prefill speed follows from it"),
  pricePerHour: z.number().min(0, "wanted 0 or more").optional().describe("USD per hour of use, where it is rented"),
  watts: z.number().positive("wanted a positive number").optional().describe("power under load"),
  sources: z
    .array(z.object({ url: z.string().optional(), what: z.string() }))
    .default([])
    .describe("where each number comes from; without `url` it is an estimate, and says so"),
});

/** A device file as it may be written: sizes as numbers or text, optional fields left out. */
export type DeviceInput = z.input<typeof deviceSchema>;
/** A device with its sizes in bytes and its defaults filled in. */
export type DeviceSpec = z.output<typeof deviceSchema>;

/**
 * Reads a device: the name of a shipped one (`raspberry-pi-5`), the path of a JSON file, or `this`, which is measured.
 *
 * @throws {UsageError} when no shipped device has that name; the hint has the nearest name and the list
 * @throws {FormatError} when a file can't be read or a field of it is missing or wrong; the message names both
 */
export async function readDevice(nameOrPath: string, options: { signal?: AbortSignal } = {}): Promise<DeviceSpec> {
  if (nameOrPath === "this") return deviceSchema.parse(await measureThisDevice(options));
  if (isDeviceFile(nameOrPath)) return readDeviceFile(nameOrPath);
  const names = await shippedNames();
  const name = names.find((known) => known === nameOrPath.toLowerCase());
  if (name) return readDeviceFile(shippedPath(name));
  const nearest = nearestName(nameOrPath, names);
  throw new UsageError(`No device is called "${nameOrPath}"`, {
    hint: `${nearest ? `Did you mean "${nearest}"? ` : ""}Write the path of a JSON file, "this", or one of ${names.join(", ")}`,
  });
}

/** True for what is taken for a path; anything else is the name of a shipped device. */
export function isDeviceFile(nameOrPath: string): boolean {
  return /[\\/]|\.json$/i.test(nameOrPath);
}

/** The shipped devices by name, in alphabetical order. */
export async function listDevices(): Promise<{ name: string; device: DeviceSpec }[]> {
  const names = await shippedNames();
  return Promise.all(names.map(async (name) => ({ name, device: await readDeviceFile(shippedPath(name)) })));
}

/** What a model may take of the device's memory: weights, KV cache and compute buffers together. */
export function usableMemoryBytes(device: DeviceSpec): number {
  return Math.floor(device.memoryBytes * device.memoryForModelsShare);
}

/**
 * Why a model does not fit the device, or undefined when it fits.
 *
 * @param need memoryBytes: weights, KV cache and compute buffers at the context length; fileBytes: the model's file
 */
export function misfit(device: DeviceSpec, need: { memoryBytes: number; fileBytes: number }): string | undefined {
  const usableBytes = usableMemoryBytes(device);
  if (need.memoryBytes > usableBytes) {
    return `needs ${formatBytes(need.memoryBytes)} of memory, the device has ${formatBytes(usableBytes)} for a model`;
  }
  if (device.storageBytes !== undefined && need.fileBytes > device.storageBytes) {
    return `needs ${formatBytes(need.fileBytes)} of storage, the device has ${formatBytes(device.storageBytes)}`;
  }
  return undefined;
}

async function readDeviceFile(path: string): Promise<DeviceSpec> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const reason =
      code === "ENOENT" ? "there is no such file" : code === "EISDIR" ? "it is a folder" : messageOf(cause);
    throw new FormatError(path, `Cannot read device "${path}": ${reason}`, {
      hint: 'A device is a JSON file such as {"name": "My board", "memoryBytes": "2GB"}, or a name that ships with Pare',
      cause,
    });
  }
  const parsed = deviceSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new FormatError(path, `Cannot read device "${path}": ${explain(parsed.error.issues[0]!, value)}`, {
    hint: '"name" and "memoryBytes" are required; docs/devices.md lists all fields',
  });
}

/** An issue of the schema as one clause that names the field, what is there and what is wanted. */
function explain(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.path.length === 0) return "it is not a JSON object";
  const field = issue.path.join(".");
  const found = issue.path.reduce((at: unknown, key) => (at as Record<PropertyKey, unknown> | null)?.[key], value);
  return found === undefined
    ? `field "${field}" is missing`
    : `field "${field}" is ${JSON.stringify(found)}, ${issue.message}`;
}

/** A positive size, written as a number or as text that `parse` understands. */
function sizeSchema(wanted: string, parse: (text: string) => number) {
  return z.union([z.number(), z.string()], `wanted ${wanted}`).transform((written, context) => {
    try {
      const size = typeof written === "string" ? parse(written) : written;
      if (Number.isFinite(size) && size > 0) return Math.round(size);
    } catch {
      // falls through to the same complaint
    }
    context.addIssue({ code: "custom", message: `wanted ${wanted}` });
    return z.NEVER;
  });
}

const shippedFolder = new URL("../../devices/", import.meta.url);

function shippedPath(name: string): string {
  return fileURLToPath(new URL(`${name}.json`, shippedFolder));
}

async function shippedNames(): Promise<string[]> {
  const files = await readdir(shippedFolder);
  return files
    .filter((file) => file.endsWith(".json"))
    .map((file) => basename(file, ".json"))
    .sort();
}
