import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

import { FormatError, UsageError } from "../errors.js";
import { deviceSchema, listDevices, misfit, readDevice, usableMemoryBytes } from "./device.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pare-device-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function deviceFile(text: string): Promise<string> {
  const path = join(folder, "device.json");
  await writeFile(path, text);
  return path;
}

test("listDevices() has the nine shipped devices, each number with a source", async () => {
  const devices = await listDevices();
  expect(devices.map(({ name }) => name)).toEqual([
    "browser-tab",
    "cloud-vm",
    "h100",
    "iphone",
    "laptop-16gb",
    "laptop-8gb",
    "phone",
    "raspberry-pi-5",
    "rtx-4090",
  ]);
  for (const { device } of devices) {
    expect(device.bandwidthBytesPerSecond).toBeGreaterThan(1e9);
    expect(device.sources.some(({ url }) => url?.startsWith("https://"))).toBe(true);
    for (const { url, what } of device.sources) if (!url) expect(what).toMatch(/estimate|not a specification/);
  }
});

test("readDevice() finds a shipped device in either case", async () => {
  expect((await readDevice("RTX-4090")).memoryBytes).toBe(24 * 2 ** 30);
});

test("readDevice() names the nearest device for an unknown one", async () => {
  const error = await readDevice("rasberry-pi-5").catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UsageError);
  expect((error as UsageError).message).toBe('No device is called "rasberry-pi-5"');
  expect((error as UsageError).hint).toMatch(/^Did you mean "raspberry-pi-5"\? .*browser-tab, cloud-vm/);
});

test("readDevice() reads a file with a name and a limit, as number or text", async () => {
  const device = await readDevice(await deviceFile('{"name": "badge", "memoryBytes": 20000000}'));
  expect(usableMemoryBytes(device)).toBe(20_000_000);
  expect(device.storageBytes).toBeUndefined();
  const written = await readDevice(
    await deviceFile('{"name": "badge", "memoryBytes": "20MB", "bandwidthBytesPerSecond": "17GB/s"}'),
  );
  expect(written.memoryBytes).toBe(20_000_000);
  expect(written.bandwidthBytesPerSecond).toBe(17e9);
});

test.each([
  ['{"name": "badge"}', 'field "memoryBytes" is missing'],
  ['{"memoryBytes": 5}', 'field "name" is missing'],
  ['{"name": "badge", "memoryBytes": "lots"}', 'field "memoryBytes" is "lots", wanted a number of bytes or a size'],
  ['{"name": "badge", "memoryBytes": -1}', 'field "memoryBytes" is -1, wanted a number of bytes'],
  ['{"name": "badge", "memoryBytes": null}', 'field "memoryBytes" is null, wanted a number of bytes'],
  [
    '{"name": "badge", "memoryBytes": 5, "memoryForModelsShare": 2}',
    'field "memoryForModelsShare" is 2, wanted a share',
  ],
  ['{"name": "badge", "memoryBytes": 5, "sources": [{"url": "x"}]}', 'field "sources.0.what" is missing'],
  ["[1, 2]", "it is not a JSON object"],
  ["{", "JSON"],
])("readDevice() names the file and the field of %s", async (text, message) => {
  const path = await deviceFile(text);
  const error = await readDevice(path).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(FormatError);
  expect((error as FormatError).message).toContain(`Cannot read device "${path}": `);
  expect((error as FormatError).message).toContain(message);
});

test("readDevice() says that a file is absent", async () => {
  await expect(readDevice("./no-such.json")).rejects.toThrow(
    'Cannot read device "./no-such.json": there is no such file',
  );
});

test('readDevice("this") measures memory, storage and bandwidth', async () => {
  const device = await readDevice("this");
  expect(device.memoryBytes).toBeGreaterThan(1e8);
  expect(device.storageBytes).toBeGreaterThan(0);
  expect(device.bandwidthBytesPerSecond).toBeGreaterThan(1e8);
  expect(device.bandwidthBytesPerSecond).toBeLessThan(5e12);
  expect(device.bandwidthSource).toBe("measured");
});

test("misfit() compares what is needed with the share that is open to a model, and the file with the storage", () => {
  const device = deviceSchema.parse({
    name: "badge",
    memoryBytes: "40MB",
    memoryForModelsShare: 0.5,
    storageBytes: "15MB",
  });
  expect(misfit(device, { memoryBytes: 20e6, fileBytes: 15e6 })).toBeUndefined();
  expect(misfit(device, { memoryBytes: 20e6 + 1, fileBytes: 1 })).toBe(
    "needs 20.0 MB of memory, the device has 20.0 MB for a model",
  );
  expect(misfit(device, { memoryBytes: 1, fileBytes: 16e6 })).toBe("needs 16.0 MB of storage, the device has 15.0 MB");
});
