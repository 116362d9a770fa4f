import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { FormatError } from "../errors.js";
import { Random } from "../support/random.js";
import { type BaselineHeader, BaselineReader, BaselineWriter, isBaselineFile } from "./baseline.js";
import { type BaselineWindow, decodeWindow, encodeWindow, scoredPerWindow } from "./baseline-record.js";
import { CompactDistributionsBuilder } from "./compact-distribution-builder.js";
import { REST_SHARE, SAMPLES } from "./compact-distribution.js";

const VOCABULARY = 700;
const CONTEXT = 16;
const HEADER: BaselineHeader = {
  model: { name: "x.gguf", sizeBytes: 123, sha256: "0".repeat(64) },
  vocabularySize: VOCABULARY,
  vocabularySha256: "1".repeat(64),
  contextLength: CONTEXT,
  windows: [0, 3],
  tokensSha256: "2".repeat(64),
  repack: false,
  engine: "cpu test",
  restShare: REST_SHARE,
  samples: SAMPLES,
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "pare-baseline-test-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("encodeWindow() and decodeWindow() keep a window as it was", () => {
  const window = syntheticWindow(1);
  expect(decodeWindow(encodeWindow(window), CONTEXT, VOCABULARY)).toEqual(window);
});

test("BaselineReader gives back the windows that BaselineWriter was given, in any order", async () => {
  const path = await writeBaseline("good");
  expect(await isBaselineFile(path)).toBe(true);
  await using reader = await BaselineReader.open(path);
  expect(reader.header).toEqual(HEADER);
  expect(await reader.window(3)).toEqual(syntheticWindow(3));
  expect(await reader.window(0)).toEqual(syntheticWindow(0));
  expect(reader.has(1)).toBe(false);
  await expect(reader.window(1)).rejects.toThrow(/has no window 1/);
});

test("BaselineWriter leaves nothing when it is dropped before the end", async () => {
  const path = join(folder, "dropped");
  {
    await using writer = await BaselineWriter.create(path, HEADER);
    await writer.add(syntheticWindow(0));
    await expect(writer.commit()).rejects.toThrow(/1 of 2 windows/);
  }
  expect(readdirSync(folder).filter((name) => name.includes("dropped"))).toEqual([]);
});

test("BaselineReader names what is wrong with a file that is none, another version or cut off", async () => {
  const bytes = readFileSync(await writeBaseline("whole"));
  const opened = (name: string, content: Uint8Array) => {
    writeFileSync(join(folder, name), content);
    return BaselineReader.open(join(folder, name));
  };
  await expect(opened("text", Buffer.from("GGUF, but not really a baseline"))).rejects.toThrow(
    /does not start with PAREBASE/,
  );
  await expect(opened("empty", Buffer.alloc(0))).rejects.toThrow(FormatError);
  const newer = Buffer.from(bytes);
  newer.writeUInt32LE(9, 8);
  await expect(opened("newer", newer)).rejects.toThrow(/version 9, this Pare reads 1/);
  await expect(opened("short", bytes.subarray(0, 100))).rejects.toThrow(/lie beyond its 100 bytes/);
  const huge = Buffer.from(bytes);
  huge.writeUInt32LE(0xffffffff, 12);
  await expect(opened("huge", huge)).rejects.toThrow(/exceeds/);
  await using cut = await opened("cut", bytes.subarray(0, bytes.length - 10));
  await expect(cut.window(3)).rejects.toThrow(/beyond/);
  await expect(BaselineReader.open(join(folder, "absent"))).rejects.toThrow(FormatError);
});

test("BaselineReader turns 400 random damages into a FormatError or the same window", async () => {
  const bytes = readFileSync(await writeBaseline("victim"));
  const random = new Random(9);
  const path = join(folder, "damaged");
  let refused = 0;
  for (let i = 0; i < 400; i++) {
    const damaged = Buffer.from(bytes);
    for (let k = random.integer(4); k >= 0; k--) damaged[random.integer(damaged.length)] = random.integer(256);
    writeFileSync(path, damaged);
    try {
      await using reader = await BaselineReader.open(path);
      for (const window of reader.header.windows) await reader.window(window);
    } catch (error) {
      expect(error).toBeInstanceOf(FormatError);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(300);
});

test("decodeWindow() refuses 2 000 damaged records with a RangeError or reads ids within the vocabulary", () => {
  const bytes = encodeWindow(syntheticWindow(1));
  const random = new Random(10);
  for (let i = 0; i < 2000; i++) {
    const damaged = Buffer.from(bytes.subarray(0, random.next() < 0.2 ? random.integer(bytes.length) : bytes.length));
    for (let k = random.integer(3); k >= 0 && damaged.length > 0; k--)
      damaged[random.integer(damaged.length)] = random.integer(256);
    try {
      const { distributions } = decodeWindow(damaged, CONTEXT, VOCABULARY);
      expect(distributions.ids.every((id) => id >= 0 && id < VOCABULARY)).toBe(true);
      expect(distributions.sampleIds.every((id) => id >= -1 && id < VOCABULARY)).toBe(true);
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
    }
  }
});

async function writeBaseline(name: string): Promise<string> {
  const path = join(folder, name);
  await using writer = await BaselineWriter.create(path, HEADER);
  for (const window of HEADER.windows) await writer.add(syntheticWindow(window));
  await writer.commit();
  return path;
}

/** Rows flat enough to have a sampled rest, and rows so sharp that they have none. */
function syntheticWindow(seed: number): BaselineWindow {
  const random = new Random(seed);
  const scored = scoredPerWindow(CONTEXT);
  const builder = new CompactDistributionsBuilder(scored);
  for (let row = 0; row < scored; row++) {
    const spread = row % 2 === 0 ? 1 : 12;
    const logits = Float32Array.from({ length: VOCABULARY }, () => spread * random.normal());
    const highest = logits.reduce((a, b) => Math.max(a, b));
    const sum = logits.reduce((total, value) => total + Math.exp(value - highest), 0);
    builder.append(
      logits,
      Float32Array.from(logits, (value) => Math.exp(value - highest) / sum),
      row,
    );
  }
  const tokens = Int32Array.from({ length: CONTEXT }, () => random.integer(VOCABULARY));
  return { tokens, distributions: builder.finish() };
}
